"""Schemas that the OpenAPI document's operations share."""

from typing import Any

from ..model import Json
from . import read


def record(required: list[str], **properties: Any) -> Json:
    """An object; keys that aren't named are allowed."""
    return {"type": "object", "properties": properties, "required": required}


def listed(name: str) -> Json:
    """A list of a named schema."""
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def nullable(schema: Json) -> Json:
    """`schema`, or null, which means absent."""
    return {"anyOf": [schema, {"type": "null"}]}


WHOLE: Json = {"type": "integer"}
TEXTS: Json = {"type": "array", "items": {"type": "string"}}
LABEL: Json = {"type": "string", "minLength": 1, "maxLength": read.MAX_LABEL}
FOLDER: Json = {"type": "string", "maxLength": read.MAX_FOLDER}
IMPORTANCE: Json = {"type": "number", "minimum": 0, "maximum": 10}
_UUID: Json = {"type": "string", "format": "uuid"}
_TEXT: Json = {"type": "string"}
_OBJECT: Json = {"type": "object"}
_TIME: Json = {"type": "string", "description": "ISO-8601, UTC, without offset"}
_TIME_IN: Json = nullable({"type": "string", "format": "date-time"})
_PART: Json = {
    "anyOf": [
        record(["type", "text"], type={"const": "text"}, text=_TEXT),
        record(["type"], type={"const": "image_url"}, image_url={}),
    ]
}
MESSAGE_IN = record(
    ["role", "content"],
    role={"type": "string", "minLength": 1, "maxLength": read.MAX_ROLE},
    content={"anyOf": [_TEXT, {"type": "array", "items": _PART}]},
    timestamp=_TIME_IN,
    metadata=nullable(_OBJECT),
)
FILTERS = record(
    [],
    label=_TEXT,
    labels=TEXTS,
    folder=_TEXT,
    folders=TEXTS,
    excluded_folders=TEXTS,
    status={"enum": ["active", "archived", "pinned"]},
    archived={"type": "boolean"},
    pinned={"type": "boolean"},
    role=_TEXT,
    conversation_id=_UUID,
    importance_min={"type": "number"},
    importance_max={"type": "number"},
    date_from=_TIME_IN,
    date_to=_TIME_IN,
)
MESSAGE = record(
    ["id", "conversation_id", "role", "content", "timestamp", "embedding_id", "metadata"],
    id=_UUID,
    conversation_id=_UUID,
    role=_TEXT,
    content=_TEXT,
    timestamp=_TIME,
    embedding_id=nullable(_UUID),
    metadata=nullable(_OBJECT),
)
CONVERSATION = record(
    ["id", "conversation_id", "label", "folder", "status", "importance_score", "message_count", "created_at"],
    id=_UUID,
    conversation_id=_UUID,
    label=_TEXT,
    folder=_TEXT,
    status={"enum": ["active", "archived"]},
    importance_score={"type": "number"},
    message_count=WHOLE,
    word_count=WHOLE,
    session_count=WHOLE,
    archived={"type": "boolean"},
    pinned={"type": "boolean"},
    metadata=_OBJECT,
    created_at=_TIME,
    updated_at=_TIME,
    messages=listed("Message"),
)
HIT = record(
    ["conversation_id", "message_id", "score", "content", "metadata", "label", "folder", "timestamp"],
    conversation_id=_UUID,
    message_id=_UUID,
    score={"type": "number"},
    similarity={"type": "number"},
    content=_TEXT,
    metadata=_OBJECT,
    label=_TEXT,
    folder=_TEXT,
    timestamp=_TIME,
    created_at=_TIME,
)
ERROR = record(["error", "code"], error=_TEXT, code=WHOLE)
