"""Request bodies and query strings as the service's own types."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from ..errors import BadRequestError
from ..model import PINNED_SCORE, Changes, Json, ListFilter, MessageFilter, NewConversation, NewMessage
from . import fields
from .fields import Fields

MAX_LABEL = 500
MAX_FOLDER = 500
MAX_ROLE = 32


_EVERYTHING = ListFilter()


def label(body: Fields) -> str:
    """The required label, trimmed."""
    return str(fields.required(fields.text(body, "label", least=1, most=MAX_LABEL, strip=True), "label"))


def folder(body: Fields) -> str | None:
    """The folder, verbatim; empty is `/`; None when absent."""
    value = fields.text(body, "folder", most=MAX_FOLDER)
    return value if value is None else value or "/"


def importance(body: Fields) -> float | None:
    """importance_score (or importanceScore), 0..10."""
    return fields.number(fields.pick(body, "importance_score", "importanceScore"), "importance_score", 0, 10)


def new_conversation(body: Fields) -> NewConversation:
    """The body of a create."""
    messages = fields.required(body.get("messages"), "messages")
    if not isinstance(messages, list):
        raise BadRequestError("messages must be a list")
    score = importance(body)
    return NewConversation(
        label=label(body),
        folder=folder(body) or "/",
        importance_score=5.0 if score is None else score,
        metadata=fields.json_object(body.get("metadata"), "metadata") or {},
        messages=tuple(_message(message, f"messages[{i}]") for i, message in enumerate(messages)),
    )


def _message(body: object, name: str) -> NewMessage:
    if not isinstance(body, dict):
        raise BadRequestError(f"{name} must be an object")
    role = fields.checked_text(fields.required(body.get("role"), f"{name}.role"), f"{name}.role", 1, MAX_ROLE)
    metadata = fields.json_object(body.get("metadata"), f"{name}.metadata")
    content = fields.required(body.get("content"), f"{name}.content")
    if isinstance(content, list):
        metadata = {**(metadata or {}), "content_parts": content}
        fields.json_object({"content": content}, f"{name}.content")
        content = _text_of_parts(content, f"{name}.content")
    return NewMessage(
        role=role,
        content=fields.checked_text(content, f"{name}.content"),
        timestamp=fields.instant(body.get("timestamp"), f"{name}.timestamp"),
        metadata=metadata,
    )


def _text_of_parts(parts: list[Any], name: str) -> str:
    """The text parts, joined with one space; images leave nothing."""
    found = []
    for i, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            found.append(
                fields.checked_text(fields.required(part.get("text"), f"{name}[{i}].text"), f"{name}[{i}].text")
            )
        elif kind != "image_url":
            raise BadRequestError(f"{name}[{i}] must be an object of type text or image_url")
    return " ".join(found)


def status_change(body: Fields) -> Changes:
    """The body of a status change; `pinned` means importance 10."""
    value = fields.required(fields.text(body, "status"), "status")
    if value == "pinned":
        return Changes(importance_score=PINNED_SCORE)
    if value not in ("active", "archived"):
        raise BadRequestError("status must be one of active, archived, pinned")
    return Changes(status=value)


def changes(body: Fields) -> tuple[Changes, list[str]]:
    """Any of label, folder, status and importance_score; and which of them were given."""
    given = Changes(folder=folder(body), importance_score=importance(body))
    supplied = [name for name in ("label", "folder", "status", "importance_score") if body.get(name) is not None]
    if given.importance_score is not None and "importance_score" not in supplied:
        supplied.append("importance_score")
    if "label" in supplied:
        given = replace(given, label=label(body))
    if "status" in supplied:
        wanted = status_change(body)
        given = replace(given, status=wanted.status)
        if wanted.importance_score is not None:
            given = replace(given, importance_score=wanted.importance_score)
    return given, supplied


def list_filter(query: Mapping[str, str]) -> ListFilter:
    """The filters of a list, from the query string. Empty texts count as absent."""
    if not query:
        return _EVERYTHING
    return ListFilter(
        label=_query_text(query, "label"),
        folder=_query_text(query, "folder"),
        pinned=fields.boolean(query.get("pinned") or None, "pinned"),
        archived=fields.boolean(query.get("archived") or None, "archived"),
    )


def _query_text(query: Mapping[str, str], name: str) -> str | None:
    value = query.get(name)
    return fields.checked_text(value, name) if value else None


def query_integer(query: Mapping[str, str], name: str) -> int | None:
    """A whole number of the query string, kept within +-2^31; None when absent or empty."""
    value = query.get(name)
    if not value:
        return None
    try:
        return max(-fields.MAX_INT, min(fields.MAX_INT, int(value)))
    except ValueError:
        raise BadRequestError(f"{name} must be a whole number") from None


def window(query: Mapping[str, str]) -> tuple[int, int, int]:
    """(page, page_size, offset) of a list: page >= 1, page_size 1..1000 (alias limit), offset overrides page."""
    size = query_integer(query, "page_size")
    if size is None:
        size = query_integer(query, "limit")
    size = 50 if size is None else max(1, min(1000, size))
    offset = query_integer(query, "offset")
    if offset is not None:
        offset = max(0, offset)
        return offset // size + 1, size, offset
    page = max(1, query_integer(query, "page") or 1)
    return page, size, (page - 1) * size


def message_filter(body: object) -> MessageFilter:
    """The filters of a query; unknown keys are ignored."""
    given: Json = fields.json_object(body, "filters") or {}
    labels = [fields.texts(given.get(name), f"filters.{name}") for name in ("labels", "filter_labels")]
    chosen = [set(group) for group in labels if group is not None]
    one_folder = fields.text(given, "folder")
    any_folder = fields.texts(given.get("folders"), "filters.folders")
    conversation: UUID | None = None
    if given.get("conversation_id") is not None:
        conversation = fields.uuid(given["conversation_id"], "filters.conversation_id")
    status = fields.text(given, "status")
    if status is not None and status not in ("active", "archived", "pinned"):
        raise BadRequestError("filters.status must be one of active, archived, pinned")
    date_to = fields.pick(given, "date_to", "end_date")
    return MessageFilter(
        label=fields.text(given, "label") or None,
        labels=tuple(sorted(set.intersection(*chosen))) if chosen else None,
        folders=tuple(group for group in ((one_folder,) if one_folder else (), any_folder or ()) if group),
        excluded_folders=fields.texts(given.get("excluded_folders"), "filters.excluded_folders") or (),
        status=status,
        archived=fields.boolean(given.get("archived"), "filters.archived"),
        pinned=fields.boolean(given.get("pinned"), "filters.pinned"),
        role=fields.text(given, "role"),
        conversation_id=conversation,
        importance_min=fields.number(given.get("importance_min"), "filters.importance_min", -1e9, 1e9),
        importance_max=fields.number(given.get("importance_max"), "filters.importance_max", -1e9, 1e9),
        date_from=fields.instant(fields.pick(given, "date_from", "start_date", "since"), "filters.date_from"),
        date_to=fields.instant(date_to, "filters.date_to", end_of_day=True),
    )
