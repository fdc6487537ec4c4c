"""Finding messages by meaning and by words at once: the two rankings are fused."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from .embed import Embedder
from .errors import ProviderAwayError
from .fusion import fuse
from .model import Hit, MessageFilter
from .search import Search, similarity
from .store import Store

DEPTH = 200  # of each ranking that is fused, at least
# Of meaning and of words: words alone rank common ones like rare ones. Measured by `make eval-retrieval` with its seed
# (0.2 to 0.4 are alike); 1 for both is worse than meaning alone.
_WEIGHTS = (1.0, 0.3)
_log = logging.getLogger("sekha.recall")


@dataclass(frozen=True)
class Recalled:
    """A hit; its fused score (0..1); its cosine similarity, None while the embedder is away or it has no vector."""

    hit: Hit
    relevance: float
    similarity: float | None


class Recall:
    """Fused search over the seams."""

    def __init__(self, store: Store, search: Search, embedder: Embedder) -> None:
        self._store, self._search, self._embedder = store, search, embedder

    async def find(self, text: str, where: MessageFilter, limit: int) -> list[Recalled]:
        """The `limit` best messages, best first: by words alone without index or embedder, newest for no text."""
        if not text.strip():
            recent = await self._store.recent(where, limit, 0)
            return [Recalled(hit, 0.0, None) for hit in recent]
        depth = max(DEPTH, limit)
        semantic, lexical = await asyncio.gather(
            self._by_meaning(text, where, depth), self._store.lexical(text, where, depth, 0)
        )
        hits: dict[UUID, Hit] = {hit.message.id: hit for hit in (*lexical, *semantic)}
        rankings = [[hit.message.id for hit in ranking] for ranking in (semantic, lexical)]
        chosen = fuse(rankings, _WEIGHTS)[:limit]
        similarity = {hit.message.id: hit.score for hit in semantic}
        if semantic:
            similarity.update(await self._similarity(text, [i for i, _ in chosen if i not in similarity]))
        return [
            Recalled(replace(hits[i], score=similarity.get(i, hits[i].score)), relevance, similarity.get(i))
            for i, relevance in chosen
        ]

    async def _by_meaning(self, text: str, where: MessageFilter, limit: int) -> Sequence[Hit]:
        try:
            if not where.empty and replace(where, archived=None, excluded_folders=()).empty:
                return await self._nearly_everything(text, where, limit)
            return await self._search.semantic(text, where, limit)
        except ProviderAwayError as error:
            _log.warning("recall by words alone: %s", error)
            return []

    async def _nearly_everything(self, text: str, where: MessageFilter, limit: int) -> Sequence[Hit]:
        """A filter that lets most messages through is cheaper applied afterwards, to some more than are wanted."""
        ask = limit + limit // 2
        hits = await self._search.semantic(text, MessageFilter(), ask)
        kept = [hit for hit in hits if lets_through(where, hit)]
        if len(kept) >= limit or len(hits) < ask:
            return kept
        return await self._search.semantic(text, where, limit)

    async def _similarity(self, text: str, ids: Sequence[UUID]) -> dict[UUID, float]:
        """Cosine similarity (0..1) of messages that only their words brought in, from the stored vectors."""
        if not ids:
            return {}
        query = await self._embedder.query(text)
        stored = await self._store.vectors_of(ids, self._embedder.model)
        return {i: similarity(vector, query) for i, vector in stored.items()}


def lets_through(where: MessageFilter, hit: Hit) -> bool:
    """Whether a hit passes the filter's `archived` and `excluded_folders`."""
    if where.archived is not None and (hit.status == "archived") != where.archived:
        return False
    bases = [folder.rstrip("/") for folder in where.excluded_folders]
    return not any(not base or f"{hit.folder}/".startswith(f"{base}/") for base in bases)
