"""What the clouds sell (infra/catalog.yaml), typed. The cloud's API is the truth for orders and prices."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class ServerType:
    """One server plan: vCPUs, memory and disk in GB, architecture, and net EUR a month by location."""

    name: str
    vcpus: int
    memory_gb: int
    disk_gb: int
    arch: str
    cpu: str
    traffic_tb: int
    monthly: Mapping[str, Decimal]


@dataclass(frozen=True)
class Store:
    """The cloud's own object store: its endpoint with {region}, and the regions that have it (none named: all)."""

    endpoint: str
    regions: tuple[str, ...]

    def sells(self, region: str) -> bool:
        return not self.regions or region in self.regions


@dataclass(frozen=True)
class Catalog:
    """One cloud's offer on a day. `network_zones` maps location -> network zone; money is `currency` a month, no VAT.

    `preferred`: locations where the config names none. `root_gb`: the disk to buy with a server (0: comes with it).
    `admin_ssh`: administrators come by SSH; else by a session that the cloud's API opens, and port 22 stays shut.
    `store` is None where the config has to name the object store. `volume_at`: prices that differ by location.
    """

    cloud: str
    as_of: datetime.date
    source: str
    currency: str
    user_data_limit: int
    image: str
    network_zones: Mapping[str, str]
    server_types: Mapping[str, ServerType]
    volume_per_gb: Decimal
    volume_min_gb: int
    volume_max_gb: int
    primary_ipv4: Decimal
    preferred: tuple[str, ...] = ()
    volume_at: Mapping[str, Decimal] = field(default_factory=dict)
    root_gb: int = 0
    admin_ssh: bool = True
    packed_user_data: bool = False
    store: Store | None = None


@cache
def _document() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("catalog.yaml").read_text())
    return content


def clouds() -> tuple[str, ...]:
    """Names of the clouds this version can build on."""
    return tuple(_document())


@cache
def load(cloud: str) -> Catalog:
    """The catalog of `cloud`. Raises KeyError for one that clouds() does not name."""
    raw = _document()[cloud]
    rows = raw["server_types"] if "server_types" in raw else _priced(cloud, raw)
    types = {
        name: ServerType(
            name=name, **{**row, "monthly": {at: Decimal(str(each)) for at, each in row["monthly"].items()}}
        )
        for name, row in rows.items()
    }
    volume, store = raw["volume"], raw.get("store")
    return Catalog(
        cloud=cloud,
        as_of=raw["as_of"],
        source=raw["source"],
        currency=raw["currency"],
        user_data_limit=raw["user_data_limit"],
        image=raw["image"],
        network_zones={name: row["network_zone"] for name, row in raw["locations"].items()},
        server_types=types,
        volume_per_gb=Decimal(str(volume["per_gb_month"])),
        volume_min_gb=volume["min_gb"],
        volume_max_gb=volume["max_gb"],
        primary_ipv4=Decimal(str(raw["primary_ipv4"]["month"])),
        preferred=tuple(raw["preferred"]),
        volume_at={at: Decimal(str(price)) for at, price in volume.get("elsewhere", {}).items()},
        root_gb=raw.get("root_gb", 0),
        admin_ssh=raw.get("admin_ssh", True),
        packed_user_data=raw.get("packed_user_data", False),
        store=Store(store["endpoint"], tuple(store.get("regions", ()))) if store else None,
    )


def _month(hourly: float, hours: int) -> Decimal:
    """What a month of `hours` costs at so much an hour, to the cent."""
    return (Decimal(str(hourly)) * hours).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _priced(cloud: str, raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Server types of a cloud whose plans are in catalog_prices.yaml, priced at each location they are sold in."""
    offer = yaml.safe_load(Path(__file__).with_name("catalog_prices.yaml").read_text())["clouds"][cloud]
    rows: dict[str, dict[str, Any]] = {}
    for name, plan in offer["plans"].items():
        if not plan.get("orderable", True):
            continue
        hours = offer["hours_per_month"]
        price = _month(plan["hourly"], hours) if "hourly" in plan else Decimal(str(plan["monthly"]))
        same = raw["locations"] if raw.get("one_price") else [offer["region"]]
        other = raw.get("hourly_elsewhere", {}).get(name, {})
        monthly = dict.fromkeys(same, price) | {at: _month(hourly, hours) for at, hourly in other.items()}
        rows[name] = {
            **{key: plan[key] for key in ("vcpus", "memory_gb", "disk_gb", "cpu")},
            "arch": plan.get("arch", "x86"), "traffic_tb": plan["transfer_gb"] // 1000, "monthly": monthly,
        }  # fmt: skip
    return rows
