"""A comparison as one JSON object and as CSV, for programs and spreadsheets. Pure."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from infra import compare, compare_guide, compare_report
from infra.catalog_prices import Rate, Source
from infra.compare import PARTS, Quote

CSV_HEAD = (
    *("cloud", "region", "conversations", "topology", "part", "what", "quantity", "each", "total", "currency"),
    *("total_eur", "eur_rate_of", "vat", "as_of", "fetched", "source"),
)


def _amount(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _source(source: Source) -> dict[str, Any]:
    return {**asdict(source), "as_of": source.as_of.isoformat()}


def _quote(quote: Quote, rate: Rate) -> dict[str, Any]:
    return {
        **{key: getattr(quote.offer, key) for key in ("cloud", "region", "currency", "vat", "hours_per_month")},
        "plans": {role: plan.name for role, plan in quote.plans},
        "parts": {name: float(quote.part(name)) for name in PARTS} if quote.plans else None,
        "total": _amount(quote.total),
        "total_eur": _amount(quote.eur(rate)),
        "machine_backup_not_included": float(compare.machine_backup(quote)) if quote.plans else None,
        "above_guide_memory": compare_report.above_guide(quote),
        "reason": quote.reason or None,
        "sources": [_source(source) for source in dict.fromkeys(line.source for line in quote.lines)],
    }


def as_json(made: compare_report.Comparison) -> dict[str, Any]:
    """The same as one object; money as numbers in the currency beside them, no price is null."""
    beside = [compare_guide.beside(row, made.rate) for row in compare_guide.rows()]
    return {
        "need": asdict(made.quotes[0].need),
        "rate": {"usd_per_eur": float(made.rate.usd_per_eur), **_source(made.rate.source)},
        "clouds": [_quote(quote, made.rate) for quote in made.quotes],
        "guide": [
            {
                **asdict(other.row),
                "cost": float(other.row.cost),
                "as_of": compare_guide.as_of().isoformat(),
                "list_price_of": other.what,
                "listed": float(other.listed),
                "currency": other.offer.currency,
                "listed_usd": float(other.listed_usd),
                "difference_usd": float(other.difference_usd),
            }
            for other in beside
        ],
        "recommendation": compare_guide.verdict(made.quotes, made.rate),
        "growth_eur": [
            {"conversations": row[0].need.conversations, **{q.offer.cloud: _amount(q.eur(made.rate)) for q in row}}
            for row in made.growth
        ],
        "warnings": list(made.warnings),
    }


def as_csv(made: compare_report.Comparison) -> str:
    """A row for each line of each bill; a cloud without a price has one row that says why."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(CSV_HEAD)
    day = made.rate.source.as_of
    for quote in made.quotes:
        offer, asked = quote.offer, quote.need
        first = (offer.cloud, offer.region, asked.conversations, asked.topology)
        if quote.reason:
            writer.writerow((*first, "", quote.reason, *[""] * (len(CSV_HEAD) - 6)))
        for line in quote.lines:
            money = (line.item.quantity, line.item.each, line.total, offer.currency)
            euros = (made.rate.eur(line.total, offer.currency), day, offer.vat)
            proof = (line.source.as_of, "yes" if line.source.fetched else "no", line.source.text)
            writer.writerow((*first, line.part, line.item.what, *money, *euros, *proof))
    return sheet.getvalue()
