"""What the clouds sell (infra/catalog.yaml), typed. The cloud's API is the truth for orders and prices."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
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
class Catalog:
    """One cloud's offer on a day. `network_zones` maps location -> network zone; money is EUR a month without VAT."""

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
    types = {
        name: ServerType(name=name, **{**row, "monthly": {at: Decimal(str(eur)) for at, eur in row["monthly"].items()}})
        for name, row in raw["server_types"].items()
    }
    return Catalog(
        cloud=cloud,
        as_of=raw["as_of"],
        source=raw["source"],
        currency=raw["currency"],
        user_data_limit=raw["user_data_limit"],
        image=raw["image"],
        network_zones={name: row["network_zone"] for name, row in raw["locations"].items()},
        server_types=types,
        volume_per_gb=Decimal(str(raw["volume"]["per_gb_month"])),
        volume_min_gb=raw["volume"]["min_gb"],
        volume_max_gb=raw["volume"]["max_gb"],
        primary_ipv4=Decimal(str(raw["primary_ipv4"]["month"])),
    )
