"""The vector index: derived from the store, rebuildable at any time."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from ..embed import Vectors
from ..store import OutboxItem


class Index(Protocol):
    """Nearest messages by cosine. All methods raise errors.ProviderAwayError when the index doesn't answer."""

    async def check(self) -> None:
        """Prove that it answers."""

    async def collection(self) -> tuple[str, str]:
        """Name and id of the collection in use, made if it is missing."""

    async def apply(self, items: Sequence[OutboxItem]) -> None:
        """Take over upserts (items with a vector) and deletes."""

    async def nearest(self, vector: Vectors, limit: int) -> list[tuple[UUID, float]]:
        """At most `limit` message ids with their cosine similarity (1 - distance), nearest first."""

    async def close(self) -> None:
        """Give connections back."""
