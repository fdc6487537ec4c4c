"""What the service keeps, as plain data: conversations, messages, filters, hits."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

NIL_UUID = UUID(int=0)
PINNED_SCORE = 10.0
Json = dict[str, Any]


@dataclass(frozen=True)
class NewMessage:
    """A message as given by a client; `timestamp` in UTC, None = now."""

    role: str
    content: str
    timestamp: datetime | None
    metadata: Json | None


@dataclass(frozen=True)
class NewConversation:
    """A conversation as given by a client, checked."""

    label: str
    folder: str
    importance_score: float
    metadata: Json
    messages: tuple[NewMessage, ...]

    @property
    def word_count(self) -> int:
        """Whitespace-separated words over all contents."""
        return sum(len(message.content.split()) for message in self.messages)

    @property
    def token_count(self) -> int:
        """Estimated tokens: four characters each, per message."""
        return sum(len(message.content) // 4 for message in self.messages)


@dataclass(frozen=True)
class Conversation:
    """A stored conversation without its messages."""

    id: UUID
    label: str
    folder: str
    status: str
    importance_score: float
    word_count: int
    message_count: int
    session_count: int
    metadata: Json
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Message:
    """A stored message; messages read back in the order of their sequence number."""

    id: UUID
    conversation_id: UUID
    role: str
    content: str
    timestamp: datetime
    embedding_id: UUID | None
    metadata: Json | None


@dataclass(frozen=True)
class Hit:
    """A message found by a search, with its conversation's label and folder. `score` is 0..1, higher is better."""

    message: Message
    label: str
    folder: str
    status: str
    importance_score: float
    score: float


@dataclass(frozen=True)
class ListFilter:
    """Filters of list, count and export; None = no filter. They AND together."""

    label: str | None = None  # case-insensitive substring
    folder: str | None = None  # that folder or a descendant
    folder_exact: str | None = None
    pinned: bool | None = None
    archived: bool | None = None


@dataclass(frozen=True)
class MessageFilter:
    """Filters of a query; empty = no filter. They AND together; lists mean any of."""

    label: str | None = None
    labels: tuple[str, ...] | None = None
    folders: tuple[tuple[str, ...], ...] = ()  # each group: any of; groups AND together
    excluded_folders: tuple[str, ...] = ()
    status: str | None = None
    archived: bool | None = None
    pinned: bool | None = None
    role: str | None = None
    conversation_id: UUID | None = None
    importance_min: float | None = None
    importance_max: float | None = None
    date_from: datetime | None = None
    date_to: datetime | None = None

    @property
    def empty(self) -> bool:
        """True when nothing is filtered."""
        return self == MessageFilter()


@dataclass(frozen=True)
class Changes:
    """Changes to a conversation; None = leave as it is."""

    label: str | None = None
    folder: str | None = None
    status: str | None = None
    importance_score: float | None = None


@dataclass(frozen=True)
class Totals:
    """Figures for the metrics. `behind`: what replicas of the index have still to learn, counted up to 100,000."""

    database_bytes: int
    messages: int
    conversations_by_status: dict[str, int] = field(default_factory=dict)
    outbox: int = 0
    outbox_age_seconds: float = 0.0
    behind: int = 0
