"""A comparison of all clouds, and as text for a terminal. Pure."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from infra import catalog_prices, compare, compare_guide, compare_need
from infra.catalog_prices import Offer, Rate, Source
from infra.compare import PARTS, Quote

GROWTH = (10_000, 20_000, 50_000, 99_999, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000)


@dataclass(frozen=True)
class Comparison:
    """Every cloud's quote for one number of conversations, the same for growing ones, and what to be careful about."""

    quotes: tuple[Quote, ...]
    growth: tuple[tuple[Quote, ...], ...]
    warnings: tuple[str, ...]
    rate: Rate


def make(conversations: int, messages: int, managed: bool, today: datetime.date, max_age_days: int) -> Comparison:
    """Compare all priced clouds; rows older than `max_age_days` on `today` are among the warnings."""
    offers = [catalog_prices.load(cloud) for cloud in catalog_prices.priced()]

    def quotes(number: int) -> tuple[Quote, ...]:
        asked = compare_need.need(number, messages, managed)
        return tuple(compare.quote(offer, asked) for offer in offers)

    rate = catalog_prices.rate()
    return Comparison(
        quotes(conversations),
        tuple(quotes(number) for number in GROWTH),
        tuple(warnings(offers, rate, today, max_age_days)),
        rate,
    )


def warnings(offers: Iterable[Offer], rate: Rate, today: datetime.date, max_age_days: int) -> list[str]:
    """Prices known to have changed, then rows that are too old, per cloud and source."""
    found = []
    for offer in offers:
        if offer.superseded and offer.superseded[0] <= today:
            found.append(f"{offer.title}: since {offer.superseded[0]}: {offer.superseded[1]}")
        for source, rows in Counter(offer.sources()).items():
            found += _old(f"{offer.title}: {rows} row(s) of {source.name}", source, today, max_age_days)
    return found + _old("euro rate", rate.source, today, max_age_days)


def _old(what: str, source: Source, today: datetime.date, max_age_days: int) -> list[str]:
    age = (today - source.as_of).days
    if age <= max_age_days:
        return []
    return [f"{what}: from {source.as_of}, {age} days old (catalogMaxAgeDays: {max_age_days})"]


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned, the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def plans(quote: Quote) -> str:
    """How many of which plan, e.g. "2 x cx43, 3 x cx53"."""
    counts = {node.role: node.count for node in quote.need.nodes}
    return ", ".join(f"{counts[role]} x {plan.name}" for role, plan in quote.plans)


def _bill(quotes: Sequence[Quote], rate: Rate) -> str:
    rows = [["cloud", "plan", *PARTS, "total", "", "EUR"]]
    for quote in quotes:
        if quote.reason:
            continue
        parts = [str(quote.part(name)) for name in PARTS]
        money = [str(quote.total), quote.offer.currency, str(quote.eur(rate))]
        rows.append([f"{quote.offer.title} ({quote.offer.region})", plans(quote), *parts, *money])
    return grid(rows)


def _machine_backups(quotes: Sequence[Quote]) -> str:
    priced = [quote for quote in quotes if not quote.reason]
    return ", ".join(f"{q.offer.title} {compare.machine_backup(q)} {q.offer.currency}" for q in priced)


def _provenance(quotes: Sequence[Quote]) -> list[str]:
    sources = dict.fromkeys(source for quote in quotes for source in quote.offer.sources())
    return [f"  {source.name}, {source.as_of}: {source.text}" for source in sources]


def _guide(rate: Rate) -> str:
    rows = [
        [
            "cloud",
            "the guide's specs",
            "guide USD",
            "list price of",
            "list",
            "",
            "list USD",
            "difference USD",
            "%",
            "the guide's notes",
        ]
    ]
    for row in compare_guide.rows():
        other = compare_guide.beside(row, rate)
        money = [str(other.listed), other.offer.currency, str(other.listed_usd)]
        change = [f"{other.difference_usd:+}", f"{other.percent:+}", row.notes]
        rows.append([other.offer.title, row.specs, str(row.cost), other.what, *money, *change])
    return grid(rows)


def _growth(growth: Sequence[Sequence[Quote]], rate: Rate) -> str:
    rows = [["conversations", "topology", *(quote.offer.title for quote in growth[0])]]
    for quotes in growth:
        asked = quotes[0].need
        cells = [_grown(quote, rate) for quote in quotes]
        rows.append([f"{asked.conversations:,}", asked.topology, *cells])
    return grid(rows)


def _grown(quote: Quote, rate: Rate) -> str:
    if quote.reason:
        return quote.reason.partition(":")[0]
    return f"{quote.eur(rate)}{'*' if above_guide(quote) else ''}"


def above_guide(quote: Quote) -> bool:
    """Whether a node has more memory than the guide's 16-32 GB."""
    big = any(plan.memory_gb > compare_need.GUIDE_MEMORY_TOP_GB for _, plan in quote.plans)
    return quote.need.topology == "cluster" and big


def heading(asked: compare_need.Need) -> str:
    """What is compared, in a line."""
    topology = "single server" if asked.topology == "single" else "cluster"
    return f"{asked.conversations:,} conversations of {asked.messages} messages on a {topology}: cost a month"


def rate_line(rate: Rate) -> str:
    """The exchange rate and the VAT basis, in a line."""
    return f"without VAT; euros at 1 EUR = {rate.usd_per_eur} USD ({rate.source.as_of})"


def text(made: Comparison) -> str:
    """All of it for a terminal, each amount in its cloud's currency and the total in euros too."""
    asked = made.quotes[0].need
    wants = [
        f"{node.count} x {node.role}: {node.vcpus}+ vCPU, {node.memory_mib} MiB usable and {node.memory_gb}+ GB sold, "
        f"disk {node.disk_gb} GB, data volume {node.volume_gb} GB"
        for node in asked.nodes
    ]
    verdicts = [
        f"  {catalog_prices.load(cloud).title}: {said}"
        for cloud, said in compare_guide.verdict(made.quotes, made.rate).items()
    ]
    lines = [
        heading(asked),
        rate_line(made.rate),
        *(f"needs {want}" for want in wants),
        f"needs {asked.backup_gb} GB of backups, {asked.egress_gb} GB of traffic out",
        "",
        _bill(made.quotes, made.rate),
        f"Not included, the clouds' own machine backups: {_machine_backups(made.quotes)}",
        *(f"{quote.offer.title}: {quote.reason}" for quote in made.quotes if quote.reason),
        "",
        f"The guide's table as given ({compare_guide.as_of()}) beside the list prices",
        _guide(made.rate),
        'Its recommendation, "Start with Hetzner or Linode for best price/performance", at this size:',
        *verdicts,
        "",
        "Growth, EUR a month (* a node has more memory than the guide's 16-32 GB)",
        _growth(made.growth, made.rate),
        "",
        "Sources",
        *_provenance(made.quotes),
        f"  euro rate, {made.rate.source.as_of}: {made.rate.source.text}",
        *(f"warning: {warning}" for warning in made.warnings),
    ]
    return "\n".join(lines)
