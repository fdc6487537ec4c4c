"""REST: what the service makes of conversations - summaries, labels, scores, figures."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .. import figures, labels, scoring, summarizing
from ..errors import BadRequestError, NotFoundError, UnavailableError
from ..model import Json
from ..store.overview import StatsFilter
from . import fields, wire
from .routing import Route, answer, json_body, route
from .services import Services, services


async def summarize(request: Request) -> Response:
    """POST /api/v1/summarize"""
    body = await json_body(request)
    conversation = fields.uuid(fields.required(body.get("conversation_id"), "conversation_id"), "conversation_id")
    level = summary_level(body)
    it = services(request)
    if not it.config["features", "summarization_enabled"]:
        raise UnavailableError("summaries are switched off: features.summarization_enabled is false", 3600)
    made = await summarizing.summarize(it.store, it.llm, conversation, level)
    if made is None:
        raise NotFoundError
    at = wire.moment(made.summary.generated_at)
    return answer(
        {
            "conversation_id": str(conversation),
            "level": level,
            "summary": made.summary.text,
            "generated_at": at,
            "created_at": at,
            "token_count": made.summary.tokens,
            "message_count": made.sources,
            "model": made.summary.model,
        }
    )


def summary_level(body: Mapping[str, Any]) -> str:
    """`level`, daily by default."""
    level = fields.text(body, "level")
    if level is None:
        return "daily"
    if level not in summarizing.LEVELS:
        raise BadRequestError("level must be one of " + ", ".join(summarizing.LEVELS))
    return level


async def suggest_labels(request: Request) -> Response:
    """POST /api/v1/labels/suggest"""
    body = await json_body(request)
    conversation = fields.uuid(fields.required(body.get("conversation_id"), "conversation_id"), "conversation_id")
    it = services(request)
    found = await it.store.get(conversation)
    if found is None:
        raise NotFoundError
    suggestions: list[labels.Suggestion] = []
    if it.config["features", "label_suggestions"]:
        texts = [message.content for message in found[1]]
        suggestions = await labels.suggest(it.llm, texts, await it.store.known_labels(labels.KNOWN))
    rows = [
        {
            "label": each.label,
            "folder": found[0].folder,  # the SDK writes it back: anything else would move the conversation
            "confidence": each.confidence,
            "is_existing": each.existing,
            "reason": each.reason,
            "reasoning": each.reason,
        }
        for each in suggestions
    ]
    top = rows[0]["label"] if rows else None
    return answer({"conversation_id": str(conversation), "suggestions": rows, "top_suggestion": top})


async def score_message(request: Request) -> Response:
    """POST /api/v1/messages/score"""
    body = await json_body(request)
    address = fields.uuid(fields.required(body.get("message_id"), "message_id"), "message_id")
    it = services(request)
    message = await it.store.message(address)
    if message is None:
        raise NotFoundError("Message not found")
    score, parts, reasoning = await scoring.score(it.llm, message.content)
    return answer(
        {
            "message_id": str(address),
            "importance_score": score,
            "score": score,
            "factors": parts,
            "reasoning": reasoning,
        }
    )


async def stats(request: Request) -> Response:
    """GET /api/v1/stats: the only REST answer in MCP's envelope"""
    query = request.query_params
    names = {name: fields.checked_text(query[name], name) for name in ("folder", "label") if query.get(name)}
    body, _ = await memory_stats(services(request), names)
    return answer(body)


async def memory_stats(it: Services, body: Mapping[str, Any]) -> tuple[Json, figures.Figures | None]:
    """MCP's envelope with the figures of everything, of a folder or of a label (matched exactly)."""
    folder, label = fields.text(body, "folder") or None, fields.text(body, "label") or None
    if folder and label:
        return {"success": False, "data": None, "error": "Cannot specify both folder and label"}, None
    where = StatsFilter(labels=(label,) if label else None, folders=(folder,) if folder else None)
    found = await figures.collect(it.store, where)
    data = figures_body(found)
    if folder:
        data["folders"] = [folder]
    if label:
        data["labels"] = [label]
    return {"success": True, "data": data, "error": None}, found


def figures_body(it: figures.Figures) -> Json:
    """Figures as the data of memory_stats."""
    return {
        "total_conversations": it.conversations,
        "total_messages": it.messages,
        "total_tokens": it.tokens,
        "average_importance": round(it.average_importance, 4),
        "folders": list(it.by_folder),
        "labels": list(it.by_label),
        "by_status": it.by_status,
    }


ROUTES: list[Route] = [
    route("/api/v1/summarize", POST=summarize),
    route("/api/v1/labels/suggest", POST=suggest_labels),
    route("/api/v1/messages/score", POST=score_message),
    route("/api/v1/stats", GET=stats),
]
