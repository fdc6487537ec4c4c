"""What the Python SDK's own MCP paths take: wrapped queries, and statistics by filters."""

from typing import Any

from .. import figures
from ..model import Json
from ..store.overview import StatsFilter
from . import fields, wire
from .fields import Fields
from .insights import figures_body
from .services import Services


def unwrapped(body: Json) -> Json:
    """The body of a search. The SDK's own README passes an object as the query: its keys then count as the body's."""
    query: Any = body.get("query")
    return {**body, "query": None, **query} if isinstance(query, dict) else body


async def stats(it: Services, filters: Fields) -> Json:
    """memory_stats' data of what matches, with distributions and the range of dates."""
    found = await figures.collect(it.store, stats_filter(filters))
    span = {"start": found.first and wire.moment(found.first), "end": found.last and wire.moment(found.last)}
    return {
        **figures_body(found),
        "label_distribution": found.by_label,
        "folder_distribution": found.by_folder,
        "date_range": span,
    }


def stats_filter(filters: Fields) -> StatsFilter:
    """labels, folders (any of), label, folder, status, start_date, end_date: all AND."""
    return StatsFilter(
        labels=_any_of(filters, "label", "labels"),
        folders=_any_of(filters, "folder", "folders"),
        status=fields.text(filters, "status") or None,
        created_from=fields.instant(filters.get("start_date"), "filters.start_date"),
        created_to=fields.instant(filters.get("end_date"), "filters.end_date", end_of_day=True),
    )


def _any_of(filters: Fields, one: str, many: str) -> tuple[str, ...] | None:
    single = fields.text(filters, one) or None
    several = fields.texts(filters.get(many), f"filters.{many}")
    if several is None:
        return None if single is None else (single,)
    return several if single is None else tuple(text for text in several if text == single)
