"""Lists: filters, sorting, pagination with exactly the meta keys that clients expect."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from localcloud import labels
from localcloud.api.call import Call
from localcloud.api.errors import invalid
from localcloud.store import Data

PER_PAGE, MAX_PER_PAGE = 25, 50


def page(
    call: Call,
    key: str,
    rows: list[Data],
    *,
    equal: tuple[str, ...] = ("name",),
    sort: tuple[str, ...] = ("id", "name", "created"),
) -> Data:
    """The list body `{key: rows of the page, "meta": ...}`.

    `equal`: query parameters that filter by equality with the field of the same name (repeated: any of them).
    Labelled rows are filtered by `label_selector`. Raises invalid_input for a bad selector, sort, page or per_page.
    """
    for name in equal:
        if wanted := call.query.get(name):
            rows = [row for row in rows if str(row.get(name)) in wanted]
    if (rows and "labels" in rows[0]) or "label_selector" in call.query:
        rows = _select(call, rows)
    return paginate(call, key, _sort(call, rows, sort))


def _select(call: Call, rows: list[Data]) -> list[Data]:
    for selector in filter(None, call.query.get("label_selector", [])):
        try:
            match = labels.parse_selector(selector)
        except ValueError as error:
            raise invalid("label_selector", str(error)) from None
        rows = [row for row in rows if match(row.get("labels", {}))]
    return rows


def _sort(call: Call, rows: list[Data], allowed: tuple[str, ...]) -> list[Data]:
    for wish in reversed(call.query.get("sort", [])):
        name, _, order = wish.partition(":")
        if name not in allowed or order not in ("", "asc", "desc"):
            raise invalid("sort", f"{wish!r} is not one of {', '.join(allowed)} with :asc or :desc")
        rows = sorted(rows, key=lambda row: _sortable(row.get(name)), reverse=order == "desc")
    return rows


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def _positive(call: Call, name: str, default: int) -> int:
    text = (call.query.get(name) or [str(default)])[-1]
    if not text.isdecimal() or int(text) < 1:
        raise invalid(name, "must be a number of at least 1")
    return int(text)


def paginate(call: Call, key: str, rows: list[Data]) -> Data:
    """One page of rows with meta. Pages past the end are empty."""
    number = _positive(call, "page", 1)
    size = min(_positive(call, "per_page", PER_PAGE), MAX_PER_PAGE)
    last = max(1, -(-len(rows) // size))
    pagination = {
        "page": number,
        "per_page": size,
        "previous_page": number - 1 if number > 1 else None,
        "next_page": number + 1 if number < last else None,
        "last_page": last,
        "total_entries": len(rows),
    }
    return {key: rows[(number - 1) * size : number * size], "meta": {"pagination": pagination}}


def links(call: Call, meta: Data) -> str:
    """The Link header of a list response."""
    pagination = meta["pagination"]
    others = [(name, values) for name, values in call.query.items() if name != "page"]
    parts = []
    for relation, key in (("prev", "previous_page"), ("next", "next_page"), ("last", "last_page")):
        if pagination[key] is not None:
            query = urlencode([*others, ("page", [str(pagination[key])])], doseq=True)
            parts.append(f'<{call.url}?{query}>; rel="{relation}"')
    return ", ".join(parts)
