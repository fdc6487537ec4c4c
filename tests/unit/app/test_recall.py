"""Fused search: what a hit says of its similarity when only its words brought it in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import numpy as np
import pytest
from sekha_service.errors import ProviderAwayError
from sekha_service.model import Hit, Message, MessageFilter
from sekha_service.recall import Recall

QUERY = np.array([1.0, 0.0], dtype="<f4")
NEAR, FAR, FRESH = (UUID(int=number) for number in (1, 2, 3))
VECTORS = {FAR: np.array([0.6, 0.8], dtype="<f4").tobytes()}


def _hit(key: UUID, score: float) -> Hit:
    message = Message(key, UUID(int=9), "user", "text", datetime.now(UTC), None, None)
    return Hit(message, "label", "/", "active", 5.0, score)


class Parts:
    """Store, search and embedder in one: meaning finds NEAR, words find FAR and FRESH, which has no vector yet."""

    model = "test"

    def __init__(self, *, away: bool) -> None:
        self._away = away

    async def semantic(self, text: str, where: MessageFilter, limit: int) -> list[Hit]:
        if self._away:
            raise ProviderAwayError("away")
        return [_hit(NEAR, 0.9)]

    async def lexical(self, query: str, where: MessageFilter, limit: int, offset: int) -> list[Hit]:
        return [_hit(FAR, 0.3), _hit(FRESH, 0.2)]

    async def query(self, text: str) -> Any:
        return QUERY

    async def vectors_of(self, ids: Sequence[UUID], model: str) -> dict[UUID, bytes]:
        return {key: VECTORS[key] for key in ids if key in VECTORS}


@pytest.mark.parametrize(
    ("away", "similarity", "scores"),
    [
        (False, {NEAR: 0.9, FAR: 0.6, FRESH: None}, {NEAR: 0.9, FAR: 0.6, FRESH: 0.2}),
        (True, {FAR: None, FRESH: None}, {FAR: 0.3, FRESH: 0.2}),
    ],
)
def test_similarity_is_the_cosine_of_the_stored_vector(
    away: bool, similarity: dict[UUID, float | None], scores: dict[UUID, float]
) -> None:
    parts = cast("Any", Parts(away=away))
    found = asyncio.run(Recall(parts, parts, parts).find("words", MessageFilter(), 10))
    assert {it.hit.message.id: it.similarity for it in found} == pytest.approx(similarity)
    assert {it.hit.message.id: it.hit.score for it in found} == pytest.approx(scores)
    relevance = [it.relevance for it in found]
    assert relevance == sorted(relevance, reverse=True)
    assert all(0 < each <= 1 for each in relevance)
