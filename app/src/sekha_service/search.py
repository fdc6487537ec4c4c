"""Finding messages by meaning: candidates from the vector index, truth (existence, filters, content) from the store.

The index is approximate: among thousands of alike messages it can lose one that is like none of them, even for a query
that is that very message. So the messages that hold all of the query's words are candidates as well.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np

from .embed import Embedder, Vectors
from .errors import ProviderAwayError
from .index import Index
from .model import Hit, MessageFilter
from .store import Store

# Up to this many matching messages, filtered queries are scored exactly from the store's own vectors.
EXACT_LIMIT = 2000
_SAME = 5  # digits: the index's similarity and ours of one message differ beyond them
_SLACK = 16  # candidates beyond the page: ties at its end, and messages deleted a moment ago
_MOST_CANDIDATES = 20_000
_MOST_EXACT = 200_000  # 300 MB of vectors; beyond, what the index found is the answer
_log = logging.getLogger("sekha.search")


class Search:
    """The query endpoint's algorithm over the seams."""

    def __init__(self, store: Store, index: Index, embedder: Embedder) -> None:
        self._store, self._index, self._embedder = store, index, embedder

    async def query(self, text: str, where: MessageFilter, limit: int, offset: int) -> Sequence[Hit]:
        """Hits by similarity, newer first on ties, one per message; lexical while index or embedder are away."""
        if not text.strip():
            return await self._store.recent(where, limit, offset)
        try:
            near, worded = await asyncio.gather(
                self.semantic(text, where, limit + offset), self._worded(text, where, limit + offset + _SLACK)
            )
        except ProviderAwayError as error:
            _log.warning("query answered by words: %s", error)
            return await self._store.lexical(text, where, limit, offset)
        hits = {hit.message.id: hit for hit in (*worded, *near)}
        return _ordered(hits.values())[offset : offset + limit]

    async def semantic(self, text: str, where: MessageFilter, limit: int) -> list[Hit]:
        """The nearest messages, newer first on ties, at least `limit` if there are any. Raises ProviderAwayError."""
        return _ordered(await self._semantic(await self._embedder.query(text), where, limit))

    async def _worded(self, text: str, where: MessageFilter, limit: int) -> list[Hit]:
        """Messages that hold all the words and have a vector, with their similarity. Raises ProviderAwayError."""
        vector, hits = await asyncio.gather(self._embedder.query(text), self._store.with_all_words(text, where, limit))
        stored = await self._store.vectors_of([hit.message.id for hit in hits], self._embedder.model) if hits else {}
        return [
            replace(hit, score=similarity(stored[hit.message.id], vector)) for hit in hits if hit.message.id in stored
        ]

    async def _semantic(self, vector: Vectors, where: MessageFilter, wanted: int) -> list[Hit]:
        if not where.empty:
            exact = await self._exact(vector, where, EXACT_LIMIT, wanted)
            if exact is not None:
                return exact
        ask = min(wanted + _SLACK if where.empty else 4 * wanted + _SLACK, _MOST_CANDIDATES)
        while True:
            found = await self._index.nearest(vector, ask)
            hits = await self._store.hits({i: _clamp(score) for i, score in found}, where) if found else []
            if len(hits) >= wanted or len(found) < ask or ask >= _MOST_CANDIDATES:
                break
            ask = min(ask * 4, _MOST_CANDIDATES)
        if len(hits) < wanted and ask >= _MOST_CANDIDATES and len(found) >= ask and not where.empty:
            # The matches are many, yet far from the query: read them all.
            return await self._exact(vector, where, _MOST_EXACT, wanted) or hits
        return hits

    async def _exact(self, vector: Vectors, where: MessageFilter, most: int, wanted: int) -> list[Hit] | None:
        """Score every matching message from the store's vectors; None when more than `most` match."""
        rows = await self._store.vectors(where, self._embedder.model, most)
        if rows is None:
            return None
        if not rows:
            return []
        matrix = np.frombuffer(b"".join(blob for _, blob in rows), dtype="<f4").reshape(len(rows), -1)
        similarity = matrix @ vector
        if len(rows) > wanted:
            # All that score no less than the last one wanted, so that ties are decided by time, not by chance.
            cut = np.partition(similarity, len(rows) - wanted)[len(rows) - wanted] - 1e-6
            chosen = np.flatnonzero(similarity >= cut)
        else:
            chosen = np.arange(len(rows))
        scores: dict[UUID, float] = {rows[i][0]: _clamp(float(similarity[i])) for i in chosen}
        return await self._store.hits(scores, where)


def similarity(stored: bytes, query: Vectors) -> float:
    """The cosine of a stored vector (float32 bytes) and a query's, as a score of 0..1."""
    return _clamp(float(np.frombuffer(stored, dtype="<f4") @ query))


def _ordered(hits: Iterable[Hit]) -> list[Hit]:
    """Most similar first, newer first on ties."""
    known = sorted(hits, key=lambda hit: hit.message.id.bytes)
    return sorted(known, key=lambda hit: (round(hit.score, _SAME), hit.message.timestamp), reverse=True)


def _clamp(score: float) -> float:
    return min(1.0, max(0.0, score))
