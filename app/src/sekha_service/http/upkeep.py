"""REST: pruning and export."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from .. import exporting, pruning
from ..errors import BadRequestError
from ..model import Json, ListFilter
from . import fields, read, wire
from .routing import Route, answer, json_body, route
from .services import Services, services

_LONGEST_DAYS = 36_500
_MOST_IDS = 100_000


async def dry_run(request: Request) -> Response:
    """POST /api/v1/prune/dry-run"""
    body = await json_body(request, optional=True)
    threshold = fields.number(body.get("importance_threshold"), "importance_threshold", -1e9, 1e9)
    suggestions, total = await suggestions_for(services(request), threshold_days(body), threshold)
    kinds = [each.recommendation for each in suggestions]
    return answer(
        {
            "suggestions": [suggestion_body(each) for each in suggestions],
            "total": len(suggestions),
            "total_reviewed": total,
            "recommended_archive": kinds.count("archive"),
            "recommended_keep": kinds.count("keep"),
            "estimated_token_savings": savings(suggestions),
        }
    )


def threshold_days(body: Mapping[str, Any]) -> int:
    """How long unchanged, in days; 30 by default."""
    return min(fields.integer(body.get("threshold_days"), "threshold_days", 0, 30), _LONGEST_DAYS)


async def suggestions_for(it: Services, days: int, threshold: float | None) -> tuple[list[pruning.Suggestion], int]:
    """Suggestions, oldest first, and how many candidates there are in all; none when pruning is switched off."""
    if not it.config["features", "pruning_enabled"]:
        return [], 0
    now = datetime.now(UTC)
    found, total = await it.store.candidates(now - timedelta(days=days), threshold, pruning.MOST_SUGGESTIONS)
    return [pruning.suggest(candidate, now) for candidate in found], total


def savings(suggestions: list[pruning.Suggestion]) -> int:
    """Estimated tokens of those recommended for archiving."""
    return sum(each.tokens for each in suggestions if each.recommendation == "archive")


def suggestion_body(it: pruning.Suggestion) -> Json:
    """A suggestion with the keys that each of the clients reads."""
    conversation = it.candidate.conversation
    return {
        "conversation_id": str(conversation.id),
        "conversation_label": conversation.label,
        "label": conversation.label,
        "folder": conversation.folder,
        "last_accessed": wire.moment(conversation.updated_at),
        "days_since_access": it.age_days,
        "age_days": it.age_days,
        "message_count": conversation.message_count,
        "token_estimate": it.tokens,
        "importance_score": wire.score(conversation.importance_score),
        "preview": it.candidate.preview,
        "recommendation": it.recommendation,
        "reason": it.reason,
    }


async def execute(request: Request) -> Response:
    """POST /api/v1/prune/execute"""
    given = fields.required((await json_body(request)).get("conversation_ids"), "conversation_ids")
    if not isinstance(given, list) or len(given) > _MOST_IDS:
        raise BadRequestError(f"conversation_ids must be a list of at most {_MOST_IDS} UUIDs")
    ids = list(dict.fromkeys(fields.uuid(value, f"conversation_ids[{i}]") for i, value in enumerate(given)))
    archived = await services(request).store.archive(ids)
    return answer(
        {
            "success": True,
            "archived": len(archived),
            "archived_ids": [str(i) for i in ids if i in archived],
            "not_found": [str(i) for i in ids if i not in archived],
        }
    )


async def export(request: Request) -> Response:
    """GET /api/v1/export"""
    return await _export(request, request.query_params.get("format"), read.list_filter(request.query_params))


async def export_post(request: Request) -> Response:
    """POST /api/v1/export"""
    body = await json_body(request, optional=True)
    where = ListFilter(
        label=fields.text(body, "label") or None,
        folder=fields.text(body, "folder") or None,
        archived=fields.boolean(body.get("archived"), "archived"),
    )
    return await _export(request, fields.text(body, "format"), where)


async def _export(request: Request, form: str | None, where: ListFilter) -> Response:
    form = form or "markdown"
    if form not in exporting.FORMATS:
        raise BadRequestError("format must be one of " + ", ".join(exporting.FORMATS))
    store = services(request).store
    ids = await store.ids(where)
    texts = exporting.pieces(store, ids, form)

    async def body() -> AsyncIterator[bytes]:
        count = 0
        yield b'{"content":"'
        async for text, conversations in texts:
            count += conversations
            yield orjson.dumps(text)[1:-1]
        yield f'","format":"{form}","conversation_count":{count}}}'.encode()

    return StreamingResponse(body(), media_type="application/json")


ROUTES: list[Route] = [
    route("/api/v1/prune/dry-run", POST=dry_run),
    route("/api/v1/prune/execute", POST=execute),
    route("/api/v1/export", GET=export, POST=export_post),
]
