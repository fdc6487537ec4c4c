"""Exact search over the vectors in the SQLite database itself, for small installations: no Chroma needed.

Each worker process keeps the vectors in memory (1.5 MB for 1,000 messages) and reads what is new before each
query. Every query compares with every vector: at MOST_VECTORS that takes about 20 ms of one core. Above it, the
index refuses (queries go by words, /health is degraded): use Chroma then.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import numpy as np

from ..embed import Vectors
from ..errors import ApiError, ProviderAwayError
from ..store import OutboxItem

MOST_VECTORS = 100_000
WARN_VECTORS = 50_000
_READ_TOGETHER = 5_000
_LOOK_FOR_GONE_SECONDS = 2.0
_log = logging.getLogger("sekha.index")


class VectorTable(Protocol):
    """The stored vectors, in the order they were written. Raises errors.UnavailableError."""

    async def vectors_after(self, n: int, model: str, limit: int) -> list[tuple[int, str, bytes]]:
        """(number, message id, float32 bytes) of vectors numbered above `n`; a vector made anew has a new number."""

    async def vector_count(self, model: str) -> int:
        """How many there are."""

    async def vector_owners(self, model: str) -> set[str]:
        """The message ids that have one."""


class EmbeddedIndex:
    """The Index protocol over a VectorTable; methods as documented there."""

    def __init__(self, table: VectorTable, model: str, dimension: int, most: int = MOST_VECTORS) -> None:
        self._table, self._model, self._most = table, model, most
        self._matrix: Vectors = np.empty((1024, dimension), dtype=np.float32)
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._newest = 0
        self._looked = 0.0
        self._warned = False
        self._lock = asyncio.Lock()

    async def check(self) -> None:
        try:
            self._bound(await self._table.vector_count(self._model))
        except ApiError as error:
            raise ProviderAwayError(error.message) from None

    async def collection(self) -> tuple[str, str]:
        return "embedded", "embedded"  # what is in the database is in the index

    async def apply(self, items: Sequence[OutboxItem]) -> None:
        pass

    async def close(self) -> None:
        pass

    async def nearest(self, vector: Vectors, limit: int) -> list[tuple[UUID, float]]:
        try:
            async with self._lock:
                await self._catch_up()
        except ApiError as error:
            raise ProviderAwayError(error.message) from None
        return await asyncio.to_thread(_nearest, self._matrix[: len(self._ids)], self._ids, vector, limit)

    async def _catch_up(self) -> None:
        while True:
            rows = await self._table.vectors_after(self._newest, self._model, _READ_TOGETHER)
            for n, message_id, vector in rows:
                self._put(message_id, np.frombuffer(vector, dtype="<f4"))
                self._newest = n
            self._bound(len(self._ids))
            if len(rows) < _READ_TOGETHER:
                break
        if time.monotonic() - self._looked >= _LOOK_FOR_GONE_SECONDS:
            self._looked = time.monotonic()
            if await self._table.vector_count(self._model) < len(self._ids):
                self._keep(await self._table.vector_owners(self._model))

    def _put(self, message_id: str, vector: Vectors) -> None:
        row = self._rows.get(message_id)
        if row is None:
            row = self._rows[message_id] = len(self._ids)
            if row == len(self._matrix):
                self._matrix = np.concatenate([self._matrix, np.empty_like(self._matrix[: max(1024, row // 2)])])
            self._ids.append(message_id)
        self._matrix[row] = vector

    def _keep(self, owners: set[str]) -> None:
        """Forget all others. Makes new arrays: a query may be reading the old ones."""
        kept = [row for row, message_id in enumerate(self._ids) if message_id in owners]
        self._matrix = np.concatenate([self._matrix[kept], np.empty_like(self._matrix[:1024])])
        self._ids = [self._ids[row] for row in kept]
        self._rows = {message_id: row for row, message_id in enumerate(self._ids)}

    def _bound(self, count: int) -> None:
        if count > self._most:
            raise ProviderAwayError(
                f"chroma.mode = embedded searches at most {self._most:,} messages, there are {count:,}: "
                "run Chroma and set chroma.mode = 'http'"
            )
        if count > WARN_VECTORS and not self._warned:
            _log.warning("%d messages: searching them without Chroma gets slow; its limit is %d", count, self._most)
            self._warned = True


def _nearest(matrix: Vectors, ids: Sequence[str], vector: Vectors, limit: int) -> list[tuple[UUID, float]]:
    if not len(matrix):
        return []
    similarity = matrix @ vector
    limit = min(limit, len(similarity))
    best = np.argpartition(-similarity, limit - 1)[:limit]
    best = best[np.argsort(-similarity[best], kind="stable")]
    return [(UUID(ids[row]), float(similarity[row])) for row in best]
