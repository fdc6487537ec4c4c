"""The store: where conversations and messages live. PostgreSQL and SQLite implement the protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from ..model import Changes, Conversation, Hit, ListFilter, Message, MessageFilter, NewConversation, Totals
from .key_tables import KeyTable
from .memories import Memories
from .overview import Overview


@dataclass(frozen=True)
class OutboxItem:
    """One thing the vector index has to learn. `vector`: float32 bytes; None for a delete or a message gone."""

    id: int
    message_id: UUID
    conversation_id: UUID | None
    vector: bytes | None


class Store(Overview, Memories, Protocol):
    """All methods raise errors.UnavailableError when the database doesn't answer."""

    @property
    def keys(self) -> KeyTable:
        """The API keys in the database."""

    async def open(self) -> None:
        """Make ready; doesn't fail when the database is away."""

    async def close(self) -> None:
        """Give connections back."""

    async def ping(self) -> None:
        """One round trip to the database."""

    async def create(self, new: NewConversation, embed: bool) -> Conversation:
        """Store durably; with `embed`, the messages go to the outbox in the same transaction."""

    async def get(self, conversation_id: UUID) -> tuple[Conversation, list[Message]] | None:
        """A conversation and its messages in stored order."""

    async def show_json(self, conversation_id: UUID) -> bytes | None:
        """The same as the JSON object of an answer (http/wire.py's `conversation`)."""

    async def page_json(self, where: ListFilter, limit: int, offset: int) -> tuple[bytes, int]:
        """Conversations, last changed first, as JSON objects (http/wire.py's `list_row`) with commas between them,
        and how many match in all.
        """

    async def count(self, where: ListFilter) -> int:
        """How many conversations match."""

    async def update(self, conversation_id: UUID, changes: Changes) -> Conversation | None:
        """Apply `changes`; None for an unknown id."""

    async def delete(self, conversation_id: UUID) -> bool:
        """Remove a conversation with all that belongs to it; False for an unknown id."""

    async def recent(self, where: MessageFilter, limit: int, offset: int) -> Sequence[Hit]:
        """The newest messages, score 0."""

    async def lexical(self, query: str, where: MessageFilter, limit: int, offset: int) -> Sequence[Hit]:
        """Messages holding any word of `query`, best first."""

    async def with_all_words(self, query: str, where: MessageFilter, limit: int) -> Sequence[Hit]:
        """Messages holding every word of `query` (its first 64, common ones aside), best first."""

    async def full_text(self, query: str, limit: int) -> Sequence[Hit]:
        """Messages matching `query` (AND, OR, NOT, "phrase", prefix*), best first; never fails on its syntax."""

    async def hits(self, scores: dict[UUID, float], where: MessageFilter) -> list[Hit]:
        """The messages of these ids that exist and match, with their scores, in no order."""

    async def vectors(self, where: MessageFilter, model: str, most: int) -> list[tuple[UUID, bytes]] | None:
        """Vectors of the messages that match, in no order; None when more than `most` match."""

    async def rebuild(self) -> int:
        """Queue every message for a new vector, unless that is under way; returns how many wait for one."""

    async def totals(self) -> Totals:
        """Figures for the metrics."""


class Outbox(Protocol):
    """The store's side of feeding the vector index. One worker at a time, over all processes and machines, holds it."""

    async def acquire(self) -> bool:
        """Become the one worker; False while another is. Held until `close` or the process's end."""

    async def close(self) -> None:
        """Give it up."""

    async def unembedded(self, model: str, limit: int) -> list[tuple[UUID, str]]:
        """The oldest waiting messages that have no vector of `model` yet: (id, content)."""

    async def save_vectors(self, model: str, vectors: Sequence[tuple[UUID, bytes]]) -> None:
        """Store vectors (float32 bytes); messages that are gone are skipped."""

    async def ready(self, model: str, limit: int) -> list[OutboxItem]:
        """The oldest items the index can take now, in order."""

    async def done(self, items: Sequence[OutboxItem]) -> None:
        """The index has these."""

    async def adopt_collection(self, name: str, collection_id: str, model: str) -> int:
        """Note which collection is fed. If it isn't the one noted before, queue every message; returns how many."""


class ReplicaOutbox(Outbox, Protocol):
    """The outbox of several replicas of the index, each known by a name."""

    async def adopt_replica(self, name: str, collection_id: str, model: str) -> int:
        """Note a replica's collection. If it isn't the one noted before, it misses all vectors; returns how many."""

    async def done_but_for(self, items: Sequence[OutboxItem], missed: Sequence[str]) -> None:
        """The replicas have these, except for those named, which miss them."""

    async def behind(self, name: str, model: str, limit: int) -> list[OutboxItem]:
        """Some of what a replica misses, as it is now: without `conversation_id`, the message is gone."""

    async def caught_up(self, name: str, messages: Sequence[UUID]) -> None:
        """The replica doesn't miss these any more."""
