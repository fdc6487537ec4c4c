"""What a month costs on each compared cloud (infra/catalog_prices.yaml), typed: every row with its source and date.

Amounts are in the cloud's own currency, without VAT, on demand. Hetzner's servers, volumes and addresses come from
infra/catalog.yaml, so that what is compared is what would be built.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from infra import catalog

CENT = Decimal("0.01")
GB_PER_TB = 1000


@dataclass(frozen=True)
class Source:
    """Where a row comes from: a name, a day, whether the price was read from the cloud itself, and in words."""

    name: str
    as_of: datetime.date
    fetched: bool
    text: str


@dataclass(frozen=True)
class Price:
    """One row: an amount a month (each, or a GB), what it is the price of, how much is included in GB, and its source.

    `units` is how often it is billed for what it is (a load balancer's IPv4 addresses)."""

    name: str
    monthly: Decimal
    source: Source
    included_gb: int = 0
    per_gb: Decimal = Decimal(0)
    units: int = 0


@dataclass(frozen=True)
class ServerPlan:
    """One server plan: memory and disk in GB, traffic out included in GB a month. `orderable`: sold in the region."""

    name: str
    vcpus: int
    memory_gb: int
    disk_gb: int
    transfer_gb: int
    cpu: str
    monthly: Decimal
    source: Source
    orderable: bool = True
    arch: str = "x86"


@dataclass(frozen=True)
class Volume:
    """Block storage: price of a GB a month, smallest and largest size in GB."""

    per_gb: Decimal
    min_gb: int
    max_gb: int
    source: Source


@dataclass(frozen=True)
class DatabasePlan:
    """One managed PostgreSQL: memory and disk in GB; a GB beyond the disk costs `per_gb` (None: none can be added)."""

    name: str
    memory_gb: int
    disk_gb: int
    monthly: Decimal
    per_gb: Decimal | None
    source: Source


@dataclass(frozen=True)
class Offer:
    """All that one cloud sells to us. `superseded`: a day since which prices are known to differ, and how."""

    cloud: str
    title: str
    currency: str
    vat: str
    region: str
    hours_per_month: int
    plans: tuple[ServerPlan, ...]
    volume: Volume
    address: Price
    load_balancer: Price
    databases: tuple[DatabasePlan, ...]
    bucket: Price
    machine_backup: Mapping[str, Decimal]
    egress: Price
    superseded: tuple[datetime.date, str] | None

    def sources(self) -> Iterator[Source]:
        """The source of every row, once a row."""
        yield from (plan.source for plan in self.plans)
        yield from (plan.source for plan in self.databases)
        yield from (self.volume.source, self.address.source, self.load_balancer.source)
        yield from (self.bucket.source, self.egress.source)


@dataclass(frozen=True)
class Rate:
    """The dated rate that amounts in US dollars are compared in euros with."""

    usd_per_eur: Decimal
    source: Source

    def eur(self, amount: Decimal, currency: str) -> Decimal:
        """`amount` in EUR, to the cent. Raises KeyError for a currency that the catalog has no rate for."""
        per_eur = {"EUR": Decimal(1), "USD": self.usd_per_eur}[currency]
        return (amount / per_eur).quantize(CENT, ROUND_HALF_UP)


@cache
def document() -> dict[str, Any]:
    """The file as it is."""
    content: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("catalog_prices.yaml").read_text())
    return content


def _decimal(value: float | int) -> Decimal:
    return Decimal(str(value))


def _source(name: str) -> Source:
    return Source(name=name, **document()["sources"][name])


def _month(row: Mapping[str, Any], hours: int) -> Decimal:
    """A row's price a month; an hourly one for all hours that a month is billed with, to the cent."""
    if "hourly" in row:
        return (_decimal(row["hourly"]) * hours).quantize(CENT, ROUND_HALF_UP)
    return _decimal(row["monthly"])


def priced() -> tuple[str, ...]:
    """Names of the clouds that can be compared; catalog.clouds() names those that can be built."""
    return tuple(document()["clouds"])


@cache
def load(cloud: str) -> Offer:
    """The offer of `cloud`. Raises KeyError for one that priced() does not name."""
    raw = document()["clouds"][cloud]
    hours, own = raw["hours_per_month"], raw["source"]

    def source(row: Mapping[str, Any]) -> Source:
        return _source(row.get("source", own))

    def price(name: str, row: Mapping[str, Any]) -> Price:
        return Price(
            name=row.get("name", name),
            monthly=_month(row, hours) if row.keys() & {"hourly", "monthly"} else Decimal(0),
            source=source(row),
            included_gb=row.get("included_gb", 0),
            per_gb=_decimal(row.get("per_gb", 0)),
            units=row.get("addresses", 0),
        )

    if "plans" not in raw:
        plans, volume, address = _built(catalog.load(cloud), raw["region"], _source(own))
    else:
        plans = tuple(_plan(name, row, hours, source(row)) for name, row in raw["plans"].items())
        rates = raw["volume"]
        volume = Volume(_decimal(rates["per_gb"]), rates["min_gb"], rates["max_gb"], source(rates))
        address = price("IPv4 address", raw["address"])
    managed = raw.get("database", {"plans": {}})
    extra = _decimal(managed["per_gb"]) if "per_gb" in managed else None
    newer = raw.get("superseded")
    return Offer(
        cloud=cloud,
        **{key: raw[key] for key in ("title", "currency", "vat", "region", "hours_per_month")},
        plans=plans,
        volume=volume,
        address=address,
        load_balancer=price("load balancer", raw["load_balancer"]),
        databases=tuple(
            DatabasePlan(name, row["memory_gb"], row["disk_gb"], _month(row, hours), extra, source(row))
            for name, row in managed["plans"].items()
        ),
        bucket=price("object storage", raw["bucket"]),
        machine_backup={key: _decimal(value) for key, value in raw["machine_backup"].items() if key != "source"},
        egress=price("traffic out", raw["egress"]),
        superseded=(newer["since"], newer["text"]) if newer else None,
    )


def _plan(name: str, row: Mapping[str, Any], hours: int, source: Source) -> ServerPlan:
    sizes = {key: row[key] for key in ("vcpus", "memory_gb", "disk_gb", "transfer_gb", "cpu")}
    return ServerPlan(name, **sizes, monthly=_month(row, hours), source=source, orderable=row.get("orderable", True))


def _built(offer: catalog.Catalog, region: str, source: Source) -> tuple[tuple[ServerPlan, ...], Volume, Price]:
    """Plans, volume and address of a cloud that can be built; a plan that `region` does not sell is not orderable."""
    plans = tuple(
        ServerPlan(
            row.name,
            row.vcpus,
            row.memory_gb,
            row.disk_gb,
            row.traffic_tb * GB_PER_TB,
            row.cpu,
            row.monthly.get(region, min(row.monthly.values())),
            source,
            orderable=region in row.monthly,
            arch=row.arch,
        )
        for row in offer.server_types.values()
    )
    volume = Volume(offer.volume_per_gb, offer.volume_min_gb, offer.volume_max_gb, source)
    return plans, volume, Price("IPv4 address", offer.primary_ipv4, source)


@cache
def rate() -> Rate:
    """The dated euro rate."""
    raw = document()["rate"]
    source = Source("euro rate", raw["as_of"], raw["fetched"], raw["text"])
    return Rate(_decimal(raw["usd_per_eur"]), source)


def max_age_days() -> int:
    """catalogMaxAgeDays where nothing else is said: rows older than this warn."""
    days: int = document()["max_age_days"]
    return days
