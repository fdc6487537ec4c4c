"""Resources as the engine sees them (type and inputs) -> what they cost a month, by the dated catalog. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from infra import catalog, catalog_prices
from infra.catalog_prices import CENT

Inputs = Mapping[str, Any]
Price = tuple[str, Decimal | None]
"""What it is, and its price a month; None where the catalog has none."""


def _server(cloud: str, size: str, *places: str) -> Callable[[Inputs], Price]:
    """A rule for machines: `size` and `places` are the inputs that name plan and location."""

    def rule(inputs: Inputs) -> Price:
        name = str(inputs.get(size))
        row = catalog.load(cloud).server_types.get(name)
        return f"server {name}", row.monthly.get(_place(cloud, inputs, places)) if row else None

    return rule


def _place(cloud: str, inputs: Inputs, names: Iterable[str]) -> str:
    """The location a resource names (an availability zone is its region and a letter), else the catalog's own."""
    for name in names:
        if isinstance(found := inputs.get(name), str):
            return found if found in catalog.load(cloud).network_zones else found[:-1]
    return catalog_prices.load(cloud).region


def _per_gb(cloud: str, inputs: Inputs, *places: str) -> Decimal:
    offer = catalog.load(cloud)
    return offer.volume_at.get(_place(cloud, inputs, places), offer.volume_per_gb)


def _volume(cloud: str, *places: str) -> Callable[[Inputs], Price]:
    def rule(inputs: Inputs) -> Price:
        size = inputs.get("size")
        if not isinstance(size, int | float):
            return "volume", None
        return f"volume of {int(size)} GB", int(size) * _per_gb(cloud, inputs, *places)

    return rule


def _address(cloud: str) -> Callable[[Inputs], Price]:
    def rule(inputs: Inputs) -> Price:
        if inputs.get("type") == "ipv6":
            return "IPv6 address", Decimal(0)
        return "IPv4 address", catalog.load(cloud).primary_ipv4

    return rule


def _hetzner_balancer(inputs: Inputs) -> Price:
    known, name = catalog_prices.load("hetzner").load_balancer, str(inputs.get("loadBalancerType"))
    return f"load balancer {name}", known.monthly if known.name == name else None


def _aws_instance(inputs: Inputs) -> Price:
    """An instance with the disk that comes with it."""
    what, amount = _server("aws", "instanceType", "availabilityZone")(inputs)
    root = inputs.get("rootBlockDevice")
    size = root.get("volumeSize") if isinstance(root, Mapping) else None
    if amount is None or not isinstance(size, int | float):
        return what, amount
    return f"{what} with {int(size)} GB", amount + int(size) * _per_gb("aws", inputs, "availabilityZone")


CLOUDS: dict[str, str] = {"hcloud": "hetzner", "digitalocean": "digitalocean", "aws": "aws"}
"""Provider -> cloud of the catalog."""

RULES: dict[str, Callable[[Inputs], Price]] = {
    "hcloud:index/server:Server": _server("hetzner", "serverType", "location"),
    "hcloud:index/volume:Volume": _volume("hetzner", "location"),
    "hcloud:index/primaryIp:PrimaryIp": _address("hetzner"),
    "hcloud:index/loadBalancer:LoadBalancer": _hetzner_balancer,
    "digitalocean:index/droplet:Droplet": _server("digitalocean", "size", "region"),
    "digitalocean:index/volume:Volume": _volume("digitalocean", "region"),
    "digitalocean:index/reservedIp:ReservedIp": _address("digitalocean"),
    "aws:ec2/instance:Instance": _aws_instance,
    "aws:ebs/volume:Volume": _volume("aws", "availabilityZone"),
    "aws:ec2/eip:Eip": _address("aws"),
}
"""What costs by itself, by type; networks, firewalls, records and keys cost nothing, object storage goes by use."""


def cloud_of(type_: str) -> str:
    """The catalog's name of the cloud of a resource type, "" for none of its."""
    return CLOUDS.get(type_.partition(":")[0], "")


@dataclass(frozen=True)
class Bill:
    """The sum of many resources a month, by currency; `unknown` is what the catalog has no price for."""

    totals: Mapping[str, Decimal]
    unknown: tuple[str, ...]

    def amount(self, currency: str) -> Decimal:
        return self.totals.get(currency, Decimal(0))

    def euros(self) -> Decimal:
        """All of it in EUR, at the catalog's dated rate."""
        rate = catalog_prices.rate()
        return sum((rate.eur(amount, currency) for currency, amount in self.totals.items()), Decimal(0))


def bill(resources: Iterable[tuple[str, Inputs]]) -> Bill:
    """What resources (type, inputs) cost a month together, each rounded to the cent."""
    totals: dict[str, Decimal] = {}
    unknown = []
    for type_, inputs in resources:
        if type_ not in RULES:
            continue
        what, amount = RULES[type_](inputs)
        if amount is None:
            unknown.append(what)
            continue
        currency = catalog.load(cloud_of(type_)).currency
        totals[currency] = totals.get(currency, Decimal(0)) + amount.quantize(CENT, ROUND_HALF_UP)
    return Bill(totals, tuple(unknown))
