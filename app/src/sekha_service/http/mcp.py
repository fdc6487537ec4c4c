"""MCP: the tools as endpoints, all answers in MCP's envelope; and the Python SDK's own two paths."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .. import exporting
from ..errors import BadRequestError, NotFoundError
from ..model import Conversation, Json, Message
from ..recall import Recalled
from . import fields, insights, mcp_sdk, read, upkeep, wire
from .fields import Fields
from .mcp_schema import TOOLS
from .routing import Route, answer, json_body, route
from .services import Services, services

_MOST_RESULTS = 100
_IMPORTANCE_THRESHOLD = 5.0  # memory_prune's own; REST has none
_EXPORTED = (
    "id", "label", "folder", "status", "importance_score", "word_count", "session_count", "created_at", "updated_at",
)  # fmt: skip
Tool = Callable[[Services, Fields], Awaitable[Json]]


async def _store(it: Services, body: Fields) -> Json:
    new = read.new_conversation(body)
    if not new.messages:
        raise BadRequestError("messages must not be empty")
    stored = await it.store.create(new, embed=it.config["features", "auto_embed"])
    it.bell.ring()
    return _data(wire.conversation(stored))


async def search(it: Services, body: Fields) -> Json:
    """memory_search: by meaning and by words, the two rankings fused."""
    query = fields.required(fields.text(body, "query", least=1), "query")
    if not query.strip():
        raise BadRequestError("query must not be blank")
    limit = max(1, min(_MOST_RESULTS, fields.integer(body.get("limit"), "limit", -fields.MAX_INT, 10)))
    offset = min(10_000, max(0, fields.integer(body.get("offset"), "offset", -fields.MAX_INT, 0)))
    filters = dict(fields.json_object(body.get("filters"), "filters") or {})
    filters.update({name: body[name] for name in ("labels", "folders", "filter_labels") if body.get(name) is not None})
    found = await it.recall.find(query, read.message_filter(filters), limit + offset)
    rows = [_result(each) for each in found[offset:]]
    return _data({"query": query, "total_results": len(rows), "limit": limit, "results": rows})


def _result(it: Recalled) -> Json:
    return {**wire.hit(it.hit), "relevance": round(it.relevance, 6)}


async def _update(it: Services, body: Fields) -> Json:
    address = _id(body)
    changes, supplied = read.changes(body)
    if not supplied:
        raise BadRequestError("nothing to change: give label, folder, status or importance_score")
    changed = await it.store.update(address, changes)
    if changed is None:
        raise NotFoundError
    note = {"updated_fields": supplied, "message": f"Updated {', '.join(supplied)}"}
    return _data({**wire.conversation(changed), **note})


async def _get_context(it: Services, body: Fields) -> Json:
    return _data(wire.conversation(*await _found(it, body)))


async def _prune(it: Services, body: Fields) -> Json:
    days = upkeep.threshold_days(body)
    threshold = fields.number(body.get("importance_threshold"), "importance_threshold", -1e9, 1e9)
    threshold = _IMPORTANCE_THRESHOLD if threshold is None else threshold
    suggestions, _ = await upkeep.suggestions_for(it, days, threshold)
    return _data(
        {
            "threshold_days": days,
            "importance_threshold": threshold,
            "total_suggestions": len(suggestions),
            "estimated_token_savings": upkeep.savings(suggestions),
            "suggestions": [upkeep.suggestion_body(each) for each in suggestions],
        }
    )


async def _export(it: Services, body: Fields) -> Json:
    form = fields.text(body, "format") or "json"
    if form not in exporting.FORMATS:
        raise BadRequestError("format must be one of json, markdown")
    with_metadata = fields.boolean(body.get("include_metadata"), "include_metadata") is not False
    conversation, messages = await _found(it, body)
    facts = wire.conversation(conversation)
    rows = [wire.message(message) for message in messages]
    if not with_metadata:
        rows = [{key: value for key, value in row.items() if key != "metadata"} for row in rows]
    write = exporting.markdown if form == "markdown" else exporting.json
    return _data(
        {
            "conversation": {name: facts[name] for name in _EXPORTED},
            "messages": rows,
            "format": form,
            "include_metadata": with_metadata,
            "content": write(conversation, messages),
        }
    )


async def _stats(it: Services, body: Fields) -> Json:
    envelope, _ = await insights.memory_stats(it, body)
    return envelope


_TOOLS: dict[str, Tool] = {
    "memory_store": _store,
    "memory_search": search,
    "memory_query": search,  # its name in older clients
    "memory_update": _update,
    "memory_get_context": _get_context,
    "memory_prune": _prune,
    "memory_export": _export,
    "memory_stats": _stats,
}


async def call(request: Request) -> Response:
    """POST /mcp/tools/{name}"""
    tool = _TOOLS.get(request.path_params["name"])
    if tool is None:
        raise NotFoundError("Unknown tool")
    return answer(await tool(services(request), await json_body(request, optional=True)))


async def tools(request: Request) -> Response:
    """GET /mcp/tools and /api/v1/mcp/tools"""
    return answer(TOOLS)


async def sdk_search(request: Request) -> Response:
    """POST /mcp/memory/search, the SDK's path: the data's keys at top level too"""
    body = mcp_sdk.unwrapped(await json_body(request))
    envelope = await search(services(request), body)
    return answer({**envelope, **envelope["data"]})


async def sdk_stats(request: Request) -> Response:
    """POST /mcp/memory/stats, the SDK's path: the data's keys at top level too"""
    body = await json_body(request, optional=True)
    data = await mcp_sdk.stats(services(request), fields.json_object(body.get("filters"), "filters") or {})
    return answer({**_data(data), **data})


def _data(data: Json) -> Json:
    return {"success": True, "data": data, "error": None}


def _id(body: Fields) -> Any:
    return fields.uuid(fields.required(body.get("conversation_id"), "conversation_id"), "conversation_id")


async def _found(it: Services, body: Fields) -> tuple[Conversation, list[Message]]:
    found = await it.store.get(_id(body))
    if found is None:
        raise NotFoundError
    return found


ROUTES: list[Route] = [
    route("/mcp/tools", GET=tools),
    route("/api/v1/mcp/tools", GET=tools),
    route("/mcp/tools/{name}", POST=call),
    route("/mcp/memory/search", POST=sdk_search),
    route("/mcp/memory/stats", POST=sdk_stats),
]
