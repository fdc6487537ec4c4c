"""Resources as the engine sees them -> what they cost a month, by the dated catalog. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ci.parse import Resource
from infra import catalog, catalog_prices
from infra.catalog_prices import CENT


@dataclass(frozen=True)
class Priced:
    """A resource's cost a month; `amount` is None where the catalog has no price for it."""

    resource: Resource
    what: str
    amount: Decimal | None
    currency: str


Price = tuple[str, Decimal | None]
Rule = Callable[[Mapping[str, Any]], Price]


def _hetzner_server(inputs: Mapping[str, Any]) -> Price:
    name, location = str(inputs.get("serverType")), str(inputs.get("location"))
    row = catalog.load("hetzner").server_types.get(name)
    return f"server {name}", row.monthly.get(location) if row else None


def _hetzner_balancer(inputs: Mapping[str, Any]) -> Price:
    known, name = catalog_prices.load("hetzner").load_balancer, str(inputs.get("loadBalancerType"))
    return f"load balancer {name}", known.monthly if known.name == name else None


def _plan(cloud: str, key: str) -> Rule:
    def rule(inputs: Mapping[str, Any]) -> Price:
        name = str(inputs.get(key))
        found = [plan.monthly for plan in catalog_prices.load(cloud).plans if plan.name == name]
        return f"server {name}", found[0] if found else None

    return rule


def _volume(cloud: str, key: str = "size") -> Rule:
    def rule(inputs: Mapping[str, Any]) -> Price:
        size = inputs.get(key)
        if not isinstance(size, int | float):
            return "volume", None
        return f"volume of {int(size)} GB", Decimal(int(size)) * catalog_prices.load(cloud).volume.per_gb

    return rule


def _address(cloud: str) -> Rule:
    def rule(inputs: Mapping[str, Any]) -> Price:
        free = inputs.get("type") == "ipv6"
        return "IPv6 address" if free else "IPv4 address", (
            Decimal(0) if free else catalog_prices.load(cloud).address.monthly
        )

    return rule


def _aws_instance(inputs: Mapping[str, Any]) -> Price:
    what, amount = _plan("aws", "instanceType")(inputs)
    root = inputs.get("rootBlockDevice")
    size = root.get("volumeSize") if isinstance(root, Mapping) else None
    if amount is None or not isinstance(size, int | float):
        return what, amount
    return f"{what} with {int(size)} GB", amount + Decimal(int(size)) * catalog_prices.load("aws").volume.per_gb


RULES: dict[str, tuple[str, Rule]] = {
    "hcloud:index/server:Server": ("hetzner", _hetzner_server),
    "hcloud:index/volume:Volume": ("hetzner", _volume("hetzner")),
    "hcloud:index/primaryIp:PrimaryIp": ("hetzner", _address("hetzner")),
    "hcloud:index/loadBalancer:LoadBalancer": ("hetzner", _hetzner_balancer),
    "digitalocean:index/droplet:Droplet": ("digitalocean", _plan("digitalocean", "size")),
    "digitalocean:index/volume:Volume": ("digitalocean", _volume("digitalocean")),
    "digitalocean:index/reservedIp:ReservedIp": ("digitalocean", _address("digitalocean")),
    "aws:ec2/instance:Instance": ("aws", _aws_instance),
    "aws:ebs/volume:Volume": ("aws", _volume("aws")),
    "aws:ec2/eip:Eip": ("aws", _address("aws")),
}
"""What costs by itself, by type; networks, firewalls, records and keys cost nothing, object storage goes by use."""


def price(resource: Resource) -> Priced | None:
    """What `resource` costs a month, rounded to the cent; None when it costs nothing by itself."""
    if resource.type not in RULES:
        return None
    cloud, rule = RULES[resource.type]
    what, amount = rule(resource.inputs)
    rounded = None if amount is None else amount.quantize(CENT, ROUND_HALF_UP)
    return Priced(resource, what, rounded, catalog_prices.load(cloud).currency)


@dataclass(frozen=True)
class Bill:
    """The sum of many resources, by currency; `unknown` is what the catalog has no price for."""

    totals: Mapping[str, Decimal]
    unknown: tuple[str, ...]

    def amount(self, currency: str) -> Decimal:
        return self.totals.get(currency, Decimal(0))


def bill(resources: Iterable[Resource]) -> Bill:
    """What `resources` cost a month together."""
    totals: dict[str, Decimal] = {}
    unknown = []
    for found in (price(resource) for resource in resources):
        if found is None:
            continue
        if found.amount is None:
            unknown.append(found.what)
        else:
            totals[found.currency] = totals.get(found.currency, Decimal(0)) + found.amount
    return Bill(totals, tuple(unknown))
