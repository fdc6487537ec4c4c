"""Plan -> monthly cost, net of VAT, from the dated catalog. Without object storage and excess traffic."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from infra.catalog import Catalog
from infra.plan import Choice, Plan

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Item:
    """One line of the bill: what, how many, in the bill's currency a month each."""

    what: str
    quantity: int
    each: Decimal

    @property
    def total(self) -> Decimal:
        return (self.quantity * self.each).quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class Cost:
    """A month's cost in `currency`, with the date of the prices."""

    items: tuple[Item, ...]
    currency: str
    as_of: str

    @property
    def total(self) -> Decimal:
        return sum((item.total for item in self.items), Decimal(0))

    def __str__(self) -> str:
        lines = ", ".join(f"{item.what} {item.total}" for item in self.items)
        return f"{self.total} {self.currency} a month without VAT ({lines}; prices of {self.as_of})"


def monthly(plan: Plan, choice: Choice, catalog: Catalog) -> Cost:
    """What `plan` costs a month when its server is placed at `choice`."""
    per_gb = catalog.volume_at.get(choice.location, catalog.volume_per_gb)
    server = catalog.server_types[choice.server_type].monthly[choice.location]
    items = (
        Item(f"server {choice.server_type}", 1, server),
        Item(f"volume {plan.volume_gb} GB", plan.volume_gb, per_gb),
        Item("IPv4 address", 1, catalog.primary_ipv4),
        *([Item(f"root disk {catalog.root_gb} GB", catalog.root_gb, per_gb)] if catalog.root_gb else []),
    )
    return Cost(items, catalog.currency, catalog.as_of.isoformat())


def since(price: Cost, before: str) -> str:
    """The difference to what the stack cost before ("5.06 EUR"; "" where that is not known), as the end of a line."""
    amount, _, currency = before.partition(" ")
    try:
        difference = price.total - Decimal(amount)
    except InvalidOperation:
        return ""
    if currency != price.currency:
        return f"; {before} before"
    return f"; {difference:+} {currency} to before" if difference else "; as before"
