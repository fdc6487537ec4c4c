"""The list of MCP tools: what each does and takes, as JSON Schema."""

from typing import Any

from ..model import Json

_ID: Json = {"type": "string", "format": "uuid", "description": "The conversation's id"}
_LABEL: Json = {"type": "string", "minLength": 1, "maxLength": 500}
_FOLDER: Json = {"type": "string", "description": "Path such as /work/plans"}
_IMPORTANCE: Json = {"type": "number", "minimum": 0, "maximum": 10, "description": "10 = pinned"}
_LABELS: Json = {"type": "array", "items": {"type": "string"}, "description": "Only conversations with one of these"}
_MESSAGE: Json = {
    "type": "object",
    "properties": {
        "role": {"type": "string", "minLength": 1, "maxLength": 32},
        "content": {"type": ["string", "array"]},
        "timestamp": {"type": ["string", "null"], "description": "ISO-8601; now when absent"},
        "metadata": {"type": ["object", "null"]},
    },
    "required": ["role", "content"],
}


def _tool(name: str, description: str, required: list[str], **properties: Any) -> Json:
    schema = {"type": "object", "properties": properties, "required": required}
    return {
        "name": name,
        "description": description,
        "inputSchema": schema,
        "input_schema": schema,
        "endpoint": f"/mcp/tools/{name}",
    }


TOOLS: list[Json] = [
    _tool(
        "memory_store",
        "Store a conversation with its messages.",
        ["label", "messages"],
        label=_LABEL,
        folder={**_FOLDER, "default": "/"},
        messages={"type": "array", "items": _MESSAGE, "minItems": 1},
        importance_score={**_IMPORTANCE, "default": 5},
    ),
    _tool(
        "memory_search",
        "Find messages by meaning and by words.",
        ["query"],
        query={"type": "string", "minLength": 1},
        limit={"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
        offset={"type": "integer", "minimum": 0, "default": 0},
        filters={"type": "object"},
        filter_labels=_LABELS,
    ),
    _tool(
        "memory_update",
        "Change a conversation's label, folder, status or importance.",
        ["conversation_id"],
        conversation_id=_ID,
        label=_LABEL,
        folder=_FOLDER,
        status={"type": "string", "enum": ["active", "archived", "pinned"]},
        importance_score=_IMPORTANCE,
    ),
    _tool("memory_get_context", "Read a conversation with all its messages.", ["conversation_id"], conversation_id=_ID),
    _tool(
        "memory_prune",
        "Suggest conversations to archive; changes nothing.",
        [],
        threshold_days={"type": "integer", "minimum": 0, "default": 30},
        importance_threshold={"type": "number", "default": 5},
    ),
    _tool(
        "memory_export",
        "Export a conversation as JSON or Markdown.",
        ["conversation_id"],
        conversation_id=_ID,
        format={"type": "string", "enum": ["json", "markdown"], "default": "json"},
        include_metadata={"type": "boolean", "default": True},
    ),
    _tool(
        "memory_stats",
        "Count conversations, messages and tokens: of all, of a folder, or of a label.",
        [],
        folder=_FOLDER,
        label=_LABEL,
    ),
]
