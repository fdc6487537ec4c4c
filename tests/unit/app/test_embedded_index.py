"""The embedded index finds exactly what comparing with every vector finds, through changes and deletions."""

from __future__ import annotations

import asyncio
from uuid import UUID

import numpy as np
import pytest
from sekha_service.embed import Vectors
from sekha_service.errors import ProviderAwayError, UnavailableError
from sekha_service.index import embedded
from sekha_service.index.embedded import EmbeddedIndex


class Table:
    """The VectorTable protocol over a dict."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[int, Vectors]] = {}
        self.written, self.away = 0, False

    def put(self, message_id: str, vector: Vectors) -> None:
        self.written += 1
        self.rows[message_id] = (self.written, vector)

    async def vectors_after(self, n: int, model: str, limit: int) -> list[tuple[int, str, bytes]]:
        if self.away:
            raise UnavailableError("gone")
        found = sorted((number, i, vector.tobytes()) for i, (number, vector) in self.rows.items() if number > n)
        return found[:limit]

    async def vector_count(self, model: str) -> int:
        return len(self.rows)

    async def vector_owners(self, model: str) -> set[str]:
        return set(self.rows)


def _vectors(count: int, seed: int) -> Vectors:
    made = np.random.default_rng(seed).normal(size=(count, 8)).astype("<f4")
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def _id(i: int) -> str:
    return str(UUID(int=i))


def _best(table: Table, query: Vectors, limit: int) -> list[str]:
    scores = {i: float(vector @ query) for i, (_, vector) in table.rows.items()}
    return sorted(scores, key=lambda i: -scores[i])[:limit]


@pytest.mark.parametrize("together", [7, 5000])
def test_exact_through_changes(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    monkeypatch.setattr(embedded, "_READ_TOGETHER", together)
    monkeypatch.setattr(embedded, "_LOOK_FOR_GONE_SECONDS", 0.0)
    table = Table()
    index = EmbeddedIndex(table, "m", 8)

    async def compare() -> None:
        for seed, limit in ((100, 1), (101, 10), (102, 5000)):
            query = _vectors(1, seed)[0]
            found = await index.nearest(query, limit)
            assert [str(i) for i, _ in found] == _best(table, query, limit)

    async def scenario() -> None:
        await compare()
        for i, vector in enumerate(_vectors(3000, 1)):
            table.put(_id(i), vector)
        await compare()
        for i, vector in enumerate(_vectors(500, 2)):  # made anew
            table.put(_id(i * 3), vector)
        await compare()
        for i in range(0, 3000, 2):
            del table.rows[_id(i)]
        await compare()
        for i, vector in enumerate(_vectors(2000, 3)):
            table.put(_id(10_000 + i), vector)
        await compare()

    asyncio.run(scenario())


def test_refuses_above_its_limit(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "WARN_VECTORS", 10)
    table = Table()
    index = EmbeddedIndex(table, "m", 8, most=20)

    async def scenario() -> None:
        for i, vector in enumerate(_vectors(20, 1)):
            table.put(_id(i), vector)
        await index.check()
        assert "its limit is 20" in caplog.text
        table.put(_id(20), _vectors(1, 2)[0])
        for call in (index.check(), index.nearest(_vectors(1, 3)[0], 5)):
            with pytest.raises(ProviderAwayError, match=r"at most 20 messages, there are 21: run Chroma"):
                await call

    asyncio.run(scenario())


def test_a_database_that_is_away() -> None:
    table = Table()
    table.away = True
    with pytest.raises(ProviderAwayError, match="gone"):
        asyncio.run(EmbeddedIndex(table, "m", 8).nearest(_vectors(1, 1)[0], 5))
