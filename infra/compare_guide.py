"""The guide's price table beside the dated list prices, row by row, and its recommendation against the figures."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from infra import catalog_prices, compare
from infra.catalog_prices import Offer, Rate, ServerPlan
from infra.compare import Quote
from infra.compare_need import NodeNeed


@dataclass(frozen=True)
class GuideRow:
    """One row of the guide's table as given (USD a month); `plan` is "" where the guide names none."""

    cloud: str
    specs: str
    vcpus: int
    memory_gb: int
    disk_gb: int
    plan: str
    cost: Decimal
    notes: str


@dataclass(frozen=True)
class Beside:
    """One row of the guide and the cheapest list price of the same: a server and, where it lacks disk, a volume.

    `listed` is in the offer's currency; `listed_usd` and `difference_usd` (list minus guide) by the catalog's rate."""

    row: GuideRow
    offer: Offer
    what: str
    listed: Decimal
    listed_usd: Decimal

    @property
    def difference_usd(self) -> Decimal:
        return self.listed_usd - self.row.cost

    @property
    def percent(self) -> int:
        return int((self.difference_usd / self.row.cost * 100).to_integral_value())


def _guide() -> dict[str, Any]:
    content: dict[str, Any] = catalog_prices.document()["guide"]
    return content


def as_of() -> datetime.date:
    """The guide's date."""
    day: datetime.date = _guide()["as_of"]
    return day


def rows() -> tuple[GuideRow, ...]:
    """The guide's table as given."""
    return tuple(
        GuideRow(cloud, **{"plan": "", **row, "cost": Decimal(str(row["cost"]))})
        for cloud, row in _guide()["rows"].items()
    )


def recommended() -> tuple[str, ...]:
    """The clouds that the guide recommends for their price."""
    return tuple(_guide()["recommends"])


def beside(row: GuideRow, rate: Rate) -> Beside:
    """The list price of what `row` describes: the plan it names, else the cheapest with its specs."""
    offer = catalog_prices.load(row.cloud)
    node = NodeNeed("server", 1, row.vcpus, row.memory_gb, 0, row.disk_gb, 0)
    plans = [plan for plan in offer.plans if compare.fits(plan, node) and row.plan in ("", plan.name)]

    def cost(plan: ServerPlan) -> Decimal:
        return compare.total(compare.node_lines(offer, node, plan))

    best = min(plans, key=lambda plan: (cost(plan), plan.name))
    sizes = compare.volumes(offer, best, node)
    what = " + ".join([best.name, *(f"{size} GB volume" for size in sizes)])
    listed = cost(best)
    per_eur = rate.usd_per_eur if offer.currency == "EUR" else Decimal(1)
    return Beside(row, offer, what, listed, (listed * per_eur).quantize(catalog_prices.CENT))


def verdict(quotes: Sequence[Quote], rate: Rate) -> dict[str, str]:
    """Recommended cloud -> what the totals say of "best price": confirmed, or which others cost as little or less."""
    totals = {quote.offer.cloud: quote.eur(rate) for quote in quotes}
    others = {name: cost for name, cost in totals.items() if name not in recommended() and cost is not None}
    found = {}
    for cloud in recommended():
        mine = totals.get(cloud)
        if mine is None:
            found[cloud] = "not confirmed: no price"
            continue
        cheaper = [name for name, cost in others.items() if cost < mine]
        equal = [name for name, cost in others.items() if cost == mine]
        if cheaper:
            found[cloud] = f"not confirmed: {', '.join(cheaper)} cost less"
        elif equal:
            found[cloud] = f"no better: {', '.join(equal)} cost the same"
        else:
            found[cloud] = "confirmed: no cloud that the guide does not recommend costs as little"
        changed = catalog_prices.load(cloud).superseded
        if changed:
            found[cloud] += f" (with its prices from before {changed[0]})"
    return found
