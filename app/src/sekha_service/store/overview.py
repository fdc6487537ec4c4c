"""The store's wide views, over many conversations: figures, candidates for archiving, export."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ..model import Conversation, ListFilter, Message

# A conversation's estimated tokens; counted from its messages where the release before left them out.
TOKENS = (
    "coalesce(c.token_count, "
    "(SELECT coalesce(sum(length(m.content) / 4), 0) FROM messages m WHERE m.conversation_id = c.id))"
)


@dataclass(frozen=True)
class StatsFilter:
    """What to count; None = no filter. Labels and folders are matched exactly, any of; dates on created_at."""

    labels: tuple[str, ...] | None = None
    folders: tuple[str, ...] | None = None
    status: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True)
class Group:
    """The conversations that share label, folder and status: how many, their messages, estimated tokens,
    the sum of their importance."""

    label: str
    folder: str
    status: str
    conversations: int
    messages: int
    tokens: int
    importance: float
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Candidate:
    """A conversation that might be archived, and the beginning (100 characters) of its last message."""

    conversation: Conversation
    preview: str


class Overview(Protocol):
    """Part of the Store protocol."""

    async def groups(self, where: StatsFilter) -> list[Group]:
        """Figures of the conversations that match, by label, folder and status."""

    async def candidates(
        self, before: datetime, importance_most: float | None, limit: int
    ) -> tuple[list[Candidate], int]:
        """Active conversations below PINNED_SCORE (and at most `importance_most`) unchanged since `before`, oldest
        first, at most `limit`; and how many there are in all."""

    async def archive(self, ids: Sequence[UUID]) -> set[UUID]:
        """Archive all of these in one transaction; returns those that exist."""

    async def ids(self, where: ListFilter) -> list[UUID]:
        """The conversations that match, oldest first."""

    async def get_many(self, ids: Sequence[UUID]) -> list[tuple[Conversation, list[Message]]]:
        """These conversations with their messages, in this order; those that are gone are left out."""
