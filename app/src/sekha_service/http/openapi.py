"""The OpenAPI document of the service, made from tables: GET /openapi.json. Its parts are in openapi_parts.py."""

from functools import cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from .. import __version__
from ..model import Json
from .mcp_schema import TOOLS
from .openapi_bridge import OPERATIONS as BRIDGE
from .openapi_parts import (
    CONVERSATION,
    ERROR,
    FILTERS,
    FOLDER,
    HIT,
    IMPORTANCE,
    LABEL,
    MESSAGE,
    MESSAGE_IN,
    TEXTS,
    WHOLE,
    listed,
    nullable,
    record,
)
from .routing import route

PUBLIC = ("/health", "/metrics")
_C = "/api/v1/conversations"
_ID = "conversation_id"
_UUID: Json = {"type": "string", "format": "uuid"}
_TEXT: Json = {"type": "string"}
_BOOL: Json = {"type": "boolean"}
_LIST = {"label": _TEXT, "folder": _TEXT, "pinned": _BOOL, "archived": _BOOL}
_CHANGED = {"$ref": "#/components/schemas/Conversation"}
_ENVELOPE = record(["success", "data"], success=_BOOL, data={}, error=nullable(_TEXT))
_HEALTH = record(
    ["status", "version", "timestamp", "uptime_seconds", "checks"], status=_TEXT, checks={"type": "object"}
)


def _page(row: str) -> Json:
    return record(
        ["results", "total", "page", "page_size"], results=listed(row), total=WHOLE, page=WHOLE, page_size=WHOLE
    )


# method, path, summary, query parameters, request body, status of success, its body
_OPERATIONS: list[tuple[str, str, str, Json, Json | None, int, Json]] = [
    ("post", _C, "Store a conversation", {}, record(
        ["label", "messages"], label=LABEL, folder=nullable(FOLDER), importance_score=nullable(IMPORTANCE),
        metadata=nullable({"type": "object"}), messages={"type": "array", "items": MESSAGE_IN},
    ), 201, _CHANGED),
    ("get", _C, "List conversations, last changed first", {
        "page": WHOLE, "page_size": WHOLE, "offset": WHOLE, **_LIST,
    }, None, 200, _page("Hit")),
    ("get", f"{_C}/count", "Count conversations", {"label": _TEXT, "folder": _TEXT, "recursive": _BOOL}, None, 200,
     record(["count", "label", "folder"], count=WHOLE, label=nullable(_TEXT), folder=nullable(_TEXT))),
    ("get", f"{_C}/{{id}}", "A conversation with its messages", {}, None, 200, _CHANGED),
    ("delete", f"{_C}/{{id}}", "Delete a conversation", {}, None, 200, record(["success", "id"], id=_UUID)),
    ("put", f"{_C}/{{id}}/label", "Set label, and folder when given", {}, record(
        ["label"], label=LABEL, folder=nullable(FOLDER)), 200, _CHANGED),
    ("put", f"{_C}/{{id}}/folder", "Set the folder", {}, record(["folder"], folder=FOLDER), 200, _CHANGED),
    ("put", f"{_C}/{{id}}/pin", "Pin", {}, None, 200, _CHANGED),
    ("put", f"{_C}/{{id}}/archive", "Archive", {}, None, 200, _CHANGED),
    ("put", f"{_C}/{{id}}/status", "Set the status", {}, record(
        ["status"], status={"enum": ["active", "archived", "pinned"]}), 200, _CHANGED),
    ("put", f"{_C}/{{id}}/importance", "Set the importance", {}, record(
        ["importance_score"], importance_score=IMPORTANCE), 200, _CHANGED),
    ("post", "/api/v1/query", "Find messages by meaning", {}, record(
        ["query"], query=_TEXT, limit={"type": "integer", "minimum": 1}, offset={"type": "integer", "minimum": 0},
        filters=nullable(FILTERS)), 200, _page("Hit")),
    ("post", "/api/v1/search/fts", "Find messages by words", {}, record(
        ["query"], query=_TEXT, limit={"type": "integer", "minimum": 1}), 200,
     record(["results", "total", "query"], results=listed("Message"), total=WHOLE, query=_TEXT)),
    ("post", "/api/v1/rebuild-embeddings", "Make every vector anew, in the background", {}, record(
        [], force=nullable(_BOOL)), 202, record(["success", "status", "message", "estimated_completion_seconds"])),
    ("post", "/api/v1/context/assemble", "Messages for a prompt, within a budget of tokens", {
        "shape": {"enum": ["array", "object"]},
    }, record(["query"], query=_TEXT, preferred_labels=nullable(TEXTS), excluded_folders=nullable(TEXTS),
              context_budget={"type": "integer", "minimum": 0}), 200, {"type": ["array", "object"]}),
    ("post", "/api/v1/summarize", "Summarise a conversation", {}, record(
        [_ID], conversation_id=_UUID, level={"enum": ["daily", "weekly", "monthly"]}), 200, record([])),
    ("post", "/api/v1/prune/dry-run", "Suggest conversations to archive", {}, record(
        [], threshold_days={"type": "integer", "minimum": 0}, importance_threshold=nullable({"type": "number"})),
     200, record([])),
    ("post", "/api/v1/prune/execute", "Archive conversations", {}, record(
        ["conversation_ids"], conversation_ids={"type": "array", "items": _UUID}), 200, record([])),
    ("post", "/api/v1/labels/suggest", "Suggest labels for a conversation", {}, record(
        [_ID], conversation_id=_UUID), 200, record([])),
    ("get", "/api/v1/export", "Export conversations", {"format": {"enum": ["json", "markdown"]}, **_LIST}, None, 200,
     record(["content", "format", "conversation_count"], content=_TEXT, format=_TEXT, conversation_count=WHOLE)),
    ("post", "/api/v1/messages/score", "Score a message's importance", {}, record(
        ["message_id"], message_id=_UUID), 200, record([])),
    ("get", "/api/v1/stats", "Figures of all, of a folder, or of a label", {"folder": _TEXT, "label": _TEXT}, None,
     200, _ENVELOPE),
    ("post", "/api/v1/export", "Export conversations", {}, record([], format=nullable({"enum": ["json", "markdown"]}),
        **{name: nullable(schema) for name, schema in _LIST.items()}), 200,
     record(["content", "format", "conversation_count"], content=_TEXT, format=_TEXT, conversation_count=WHOLE)),
    *(("get", path, "The MCP tools", {}, None, 200, {"type": "array"}) for path in ("/mcp/tools", "/api/v1/mcp/tools")),
    *(("post", tool["endpoint"], tool["description"], {}, tool["inputSchema"], 200, _ENVELOPE) for tool in TOOLS),
    *BRIDGE,
    ("get", "/health", "Health, with the state of each dependency", {}, None, 200, _HEALTH),
    ("get", "/metrics", "Figures in Prometheus' text format", {}, None, 200, _TEXT),
]  # fmt: skip


@cache
def document() -> Json:
    """The OpenAPI 3.1 document."""
    paths: dict[str, Json] = {}
    for method, path, summary, query, body, status, result in _OPERATIONS:
        paths.setdefault(path, {})[method] = _operation(path, summary, query, body, status, result)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sekha", "version": __version__, "description": "A memory for conversations with AI models."},
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": {"Conversation": CONVERSATION, "Message": MESSAGE, "Hit": HIT, "Error": ERROR},
        },
    }


def _operation(path: str, summary: str, query: Json, body: Json | None, status: int, result: Json) -> Json:
    parameters: list[Json] = [{"name": name, "in": "query", "schema": schema} for name, schema in query.items()]
    if "{id}" in path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": _UUID})
    made: Json = {"summary": summary, "parameters": parameters, "responses": {str(status): _success(path, result)}}
    if body is not None:
        made["requestBody"] = {
            "required": bool(body.get("required")),
            "content": {"application/json": {"schema": body}},
        }
    errors = {"503": "A dependency is away"}
    if path not in PUBLIC:
        errors |= {"400": "Bad input", "401": "No or unknown key", "404": "Unknown id", "413": "Too large"}
        errors |= {"429": "Too many requests; see Retry-After"}
    else:
        made["security"] = []
    for code, why in errors.items():
        found = _HEALTH if path == "/health" else {"$ref": "#/components/schemas/Error"}
        made["responses"][code] = _json(why, found)
    return made


def _success(path: str, schema: Json) -> Json:
    if path == "/metrics":
        return {"description": "Success", "content": {"text/plain": {"schema": schema}}}
    return _json("Success", schema)


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


async def show(_: Request) -> Response:
    """GET /openapi.json"""
    return Response(encoded(), media_type="application/json")


def encoded() -> bytes:
    """The document as it is served and kept in the repository."""
    options: Any = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(document(), option=options)


ROUTES = [route("/openapi.json", GET=show)]
