"""SQLite: rows as the service's types, filters as SQL."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from ..model import PINNED_SCORE, Conversation, Hit, Json, ListFilter, Message, MessageFilter

CONVERSATION = (
    "c.id, c.label, c.folder, c.status, c.importance_score, c.word_count, c.message_count, c.session_count, "
    "c.metadata, c.created_at, c.updated_at"
)
MESSAGE = 'm.id, m.conversation_id, m.role, m.content, m."timestamp", m.embedding_id, m.metadata'
HIT = f"{MESSAGE}, c.label, c.folder, c.status, c.importance_score"
JOINED = "FROM messages m JOIN conversations c ON c.id = m.conversation_id"


def moment(value: datetime) -> str:
    """A time as it is stored."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def now() -> str:
    """The time now, as it is stored."""
    return moment(datetime.now(UTC))


def instant(text: str) -> datetime:
    """A stored time."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def conversation(row: tuple[Any, ...]) -> Conversation:
    """A row of the columns CONVERSATION."""
    label, folder, status, score, words, messages, sessions, metadata, created, updated = row[1:]
    return Conversation(
        UUID(row[0]),
        label,
        folder,
        status,
        score,
        words,
        messages,
        sessions,
        orjson.loads(metadata),
        instant(created),
        instant(updated),
    )


def message(row: tuple[Any, ...]) -> Message:
    """A row of the columns MESSAGE."""
    embedding = UUID(row[5]) if row[5] else None
    metadata: Json | None = orjson.loads(row[6]) if row[6] is not None else None
    return Message(UUID(row[0]), UUID(row[1]), row[2], row[3], instant(row[4]), embedding, metadata)


def hit(row: tuple[Any, ...], score: float) -> Hit:
    """A row of the columns HIT."""
    return Hit(message(row[:7]), row[7], row[8], row[9], row[10], score)


def label_condition(prefix: str, label: str | None) -> tuple[str, list[Any]]:
    """Case-insensitive substring, taken literally."""
    return (f"instr({prefix}label_lower, ?) > 0", [label.lower()]) if label else ("", [])


def folder_condition(column: str, folder: str | None) -> tuple[str, list[Any]]:
    """`folder` itself or a descendant at a `/` boundary; `/` is everything. `0` follows `/` in every encoding."""
    base = folder.rstrip("/") if folder else ""
    if not base:
        return "", []
    return f"({column} = ? OR ({column} >= ? AND {column} < ?))", [base, base + "/", base + "0"]


def list_condition(where: ListFilter) -> tuple[str, list[Any]]:
    """The SQL condition of list and count over conversations c, and its values."""
    parts: list[str] = ["true"]
    values: list[Any] = []
    for condition, more in (label_condition("c.", where.label), folder_condition("c.folder", where.folder)):
        if condition:
            parts.append(condition)
            values += more
    if where.folder_exact is not None:
        parts.append("c.folder = ?")
        values.append(where.folder_exact)
    if where.pinned is not None:
        parts.append(f"c.importance_score {'>=' if where.pinned else '<'} ?")
        values.append(PINNED_SCORE)
    if where.archived is not None:
        parts.append(f"c.status {'=' if where.archived else '<>'} 'archived'")
    return " AND ".join(parts), values


def message_condition(where: MessageFilter) -> tuple[str, list[Any]]:
    """The SQL condition of a MessageFilter over messages m and conversations c, and its values."""
    parts: list[str] = ["true"]
    values: list[Any] = []

    def add(condition: str, *more: Any) -> None:
        parts.append(condition)
        values.extend(more)

    condition, more = label_condition("c.", where.label)
    if condition:
        add(condition, *more)
    if where.labels is not None:
        add("c.label IN (SELECT value FROM json_each(?))", orjson.dumps(where.labels).decode())
    for group in where.folders:
        alternatives = [folder_condition("c.folder", folder) for folder in group]
        if any(not text for text, _ in alternatives):
            continue  # one of them is the root: everything
        add(f"({' OR '.join(text for text, _ in alternatives) or 'false'})", *(v for _, vs in alternatives for v in vs))
    for folder in where.excluded_folders:
        condition, more = folder_condition("c.folder", folder)
        add(f"NOT {condition}" if condition else "false", *more)
    if where.status is not None:
        if where.status == "pinned":
            add("c.importance_score >= ?", PINNED_SCORE)
        else:
            add("c.status = ?", where.status)
    if where.archived is not None:
        add(f"c.status {'=' if where.archived else '<>'} 'archived'")
    if where.pinned is not None:
        add(f"c.importance_score {'>=' if where.pinned else '<'} ?", PINNED_SCORE)
    for comparison, value in (
        ("m.role = ?", where.role),
        ("m.conversation_id = ?", where.conversation_id and str(where.conversation_id)),
        ("c.importance_score >= ?", where.importance_min),
        ("c.importance_score <= ?", where.importance_max),
        ('m."timestamp" >= ?', where.date_from and moment(where.date_from)),
        ('m."timestamp" <= ?', where.date_to and moment(where.date_to)),
    ):
        if value is not None:
            add(comparison, value)
    return " AND ".join(parts), values
