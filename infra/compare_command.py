"""make costs CONVERSATIONS=N [MESSAGES=10] [DATABASE=managed] [JSON=1] [CSV=file] [CHART=stem] [MAX_AGE_DAYS=90].

What N conversations cost a month on every cloud of the catalog. No network; writes only the files that are named.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from infra import catalog_prices, chart, checks, compare_export, compare_report
from infra.compare import PARTS


def _number(environ: Mapping[str, str], key: str, default: int, low: int, high: int) -> int:
    raw = environ.get(key) or str(default)
    try:
        value = int(raw.replace(",", "").replace("_", ""))
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ValueError(f"{key}={raw}: give a whole number from {low} to {high}")
    return value


def _draw(made: compare_report.Comparison, stem: Path) -> None:
    """The comparison as bars in euros, cheapest first, with date and rate on them."""
    priced = sorted((q for q in made.quotes if not q.reason), key=lambda q: (q.eur(made.rate), q.offer.title))
    bars = []
    for quote in priced:
        currency = quote.offer.currency
        parts = {name: made.rate.eur(quote.part(name), currency) for name in PARTS}
        end = f"{quote.eur(made.rate)} EUR"
        bars.append(chart.Bar(quote.offer.title, parts, end))
    bars += [chart.Bar(q.offer.title, {}, q.reason.partition(":")[0]) for q in made.quotes if q.reason]
    foot = [
        f"{q.offer.title}: {q.total} {q.offer.currency}, {compare_report.plans(q)}, {q.offer.region}" for q in priced
    ]
    sources = [source for q in made.quotes for source in q.offer.sources()]
    days = sorted(source.as_of for source in sources)
    count = sum(not source.fetched for source in sources)
    read = f", {count} of {len(sources)} rows not read from the clouds" if count else ""
    foot.append(f"List prices on demand, as known from {days[0]} to {days[-1]}{read}; see docs/costs.md")
    for offer in (q.offer for q in made.quotes):
        if offer.superseded:
            foot.append(f"{offer.title}: new orders cost more since {offer.superseded[0]}; not in these figures")
    title, subtitle = compare_report.heading(made.quotes[0].need), compare_report.rate_line(made.rate)
    for path in chart.write(stem, title, subtitle, bars, foot):
        print(f"wrote {path}", file=sys.stderr)


def main(environ: Mapping[str, str] = os.environ, today: datetime.date | None = None) -> int:
    """Print the comparison that `environ` asks for; 2 when a value can't be used, with key, value and remedy."""
    try:
        conversations = _number(environ, "CONVERSATIONS", 50_000, 1, checks.ABSURD)
        messages = _number(environ, "MESSAGES", 10, 1, 1000)
        max_age = _number(environ, "MAX_AGE_DAYS", catalog_prices.max_age_days(), 0, 36_500)
        database = environ.get("DATABASE") or "own"
        if database not in ("own", "managed"):
            raise ValueError(f"DATABASE={database}: give own or managed")
        made = compare_report.make(
            conversations, messages, database == "managed", today or datetime.date.today(), max_age
        )
        if path := environ.get("CSV"):
            Path(path).write_text(compare_export.as_csv(made))
            print(f"wrote {path}", file=sys.stderr)
        if stem := environ.get("CHART"):
            _draw(made, Path(stem))
    except (ValueError, OSError) as error:
        print(f"costs: {error}", file=sys.stderr)
        return 2
    print(compare_report.text(made))
    if environ.get("JSON") == "1":
        print(json.dumps(compare_export.as_json(made)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
