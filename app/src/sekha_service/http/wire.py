"""Answers: the service's own types as the JSON that clients read, with every key that some client reads."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ..model import NIL_UUID, PINNED_SCORE, Conversation, Hit, Json, Message


def moment(value: datetime) -> str:
    """UTC without an offset, with microseconds."""
    text = value.isoformat(timespec="microseconds")
    if text.endswith("+00:00"):  # from PostgreSQL always: several times faster than converting
        return text[:-6]
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def score(value: float) -> int | float:
    """Whole scores as integers."""
    return int(value) if value.is_integer() else value


def conversation(it: Conversation, messages: Sequence[Message] | None = None) -> Json:
    """A conversation; with `messages` when given."""
    body: Json = {
        "id": str(it.id),
        "conversation_id": str(it.id),
        "label": it.label,
        "folder": it.folder,
        "status": it.status,
        "importance_score": score(it.importance_score),
        "message_count": it.message_count,
        "word_count": it.word_count,
        "session_count": it.session_count,
        "archived": it.status == "archived",
        "pinned": it.importance_score >= PINNED_SCORE,
        "metadata": it.metadata,
        "created_at": moment(it.created_at),
        "updated_at": moment(it.updated_at),
    }
    if messages is not None:
        body["messages"] = [message(each) for each in messages]
    return body


def message(it: Message) -> Json:
    """A message."""
    return {
        "id": str(it.id),
        "conversation_id": str(it.conversation_id),
        "role": it.role,
        "content": it.content,
        "timestamp": moment(it.timestamp),
        "embedding_id": str(it.embedding_id) if it.embedding_id else None,
        "metadata": it.metadata,
    }


def hit(it: Hit) -> Json:
    """A message found by a search."""
    at = moment(it.message.timestamp)
    return {
        "conversation_id": str(it.message.conversation_id),
        "message_id": str(it.message.id),
        "score": it.score,
        "similarity": it.score,
        "content": it.message.content,
        "metadata": it.message.metadata or {},
        "label": it.label,
        "folder": it.folder,
        "timestamp": at,
        "created_at": at,
        "role": it.message.role,
        "status": it.status,
        "importance_score": score(it.importance_score),
    }


def full_text_hit(it: Hit) -> Json:
    """A message found by full text: the message and what else clients read."""
    return {
        **message(it.message),
        "message_id": str(it.message.id),
        "rank": it.score,
        "score": it.score,
        "label": it.label,
        "folder": it.folder,
        "created_at": moment(it.message.timestamp),
    }


def list_row(it: Conversation) -> Json:
    """A conversation as a row of a list, in a search hit's form; the encoder writes the ids: it is faster."""
    facts: dict[str, Any] = {
        "folder": it.folder,
        "status": it.status,
        "importance_score": score(it.importance_score),
        "message_count": it.message_count,
    }
    updated = moment(it.updated_at)
    return {
        "id": it.id,
        "conversation_id": it.id,
        "message_id": NIL_UUID,
        "score": 1.0,
        "similarity": 1.0,
        "content": it.label,
        "metadata": facts,
        "label": it.label,
        **facts,
        "timestamp": updated,
        "created_at": moment(it.created_at),
        "updated_at": updated,
    }
