"""The store's part in summaries, scores, labels and context: single messages, stored summaries, known labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ..model import Hit, Message, MessageFilter


@dataclass(frozen=True)
class Summary:
    """A stored summary of a conversation. `level`: daily, weekly or monthly; `tokens`: len(text) // 4."""

    id: UUID
    conversation_id: UUID
    level: str
    text: str
    generated_at: datetime
    model: str
    tokens: int


class Memories(Protocol):
    """Part of the Store protocol."""

    async def message(self, message_id: UUID) -> Message | None:
        """One message."""

    async def messages_since(self, conversation_id: UUID, since: datetime) -> list[Message] | None:
        """A conversation's messages from `since` on, in stored order; None for an unknown conversation."""

    async def summaries(self, conversation_id: UUID, level: str, since: datetime) -> list[Summary]:
        """Stored summaries of a level from `since` on, oldest first."""

    async def add_summary(self, summary: Summary) -> None:
        """Store one; nothing happens when the conversation is gone."""

    async def known_labels(self, limit: int) -> list[str]:
        """The labels in use, most used first."""

    async def vectors_of(self, ids: Sequence[UUID], model: str) -> dict[UUID, bytes]:
        """Vectors (float32 bytes) of these messages, as far as there are any of `model`."""

    async def newest_of(self, where: MessageFilter, since: datetime | None, limit: int) -> Sequence[Hit]:
        """The newest messages, score 0, of the conversations that match (fast when these are few), from `since` on.

        Only filters on conversations count: labels, folders, excluded folders, status, pinned, importance.
        """
