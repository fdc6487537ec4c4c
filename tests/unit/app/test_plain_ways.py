"""What is done without a language model, and when one is too slow: summaries, labels, entities."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from sekha_service import entities, labels, scoring, summarizing, words
from sekha_service.llm import Completion, Llm


class Slow:
    """A language model that never answers."""

    model = "slow"

    async def summarize(self, *_: object) -> str:
        await asyncio.sleep(60)
        return ""

    async def score(self, *_: object) -> tuple[float, str]:
        await asyncio.sleep(60)
        return 0, ""

    async def chat(self, *_: object, **__: Any) -> Completion:
        await asyncio.sleep(60)
        return Completion("", 0, 0)


def test_a_slow_model_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (summarizing, labels, scoring):
        monkeypatch.setattr(module, "SECONDS", 0.05)
    llm = cast(Llm, Slow())

    async def calls() -> None:
        assert await summarizing.condense(llm, ["One fact."], "daily") == ("One fact.", "builtin")
        assert [each.label for each in await labels.suggest(llm, ["Roses, roses"], [])] == ["Roses"]
        assert (await scoring.score(llm, "hello"))[0] == 5

    asyncio.run(calls())


@pytest.mark.parametrize(
    ("texts", "most", "expected"),
    [
        ([], 10, ""),
        (["  \n "], 10, ""),
        (["A b c d e f"], 3, "A b c"),
        (["Cats purr loudly. Unrelated remark here. Cats purr softly."], 6, "Cats purr loudly. Cats purr softly."),
        (["no full stop\nanother line"], 10, "no full stop. another line."),
    ],
)
def test_summary(texts: Sequence[str], most: int, expected: str) -> None:
    assert words.summary(texts, most) == expected


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Trains, Boats", ["Trains", "Boats"]),
        ("1. Trains\n2) trains\n- 'Boats'.", ["Trains", "Boats"]),
        ("holiday plans", ["Holiday Plans"]),
        ("", []),
        ("x" * 61, []),
        ("a, b, c, d, e, f, g", ["a", "b", "c", "d", "e"]),
        ("fresh, Holiday Plans", ["Holiday Plans", "fresh"]),
    ],
)
def test_labels_of_an_answer(answer: str, found: list[str]) -> None:
    assert [each.label for each in labels.from_answer(answer, ["Holiday Plans"])] == found


@pytest.mark.parametrize("text", ["A " * 100_000, "a_" * 100_000, "aA" * 100_000, "x" * 300_000, "Ab Cd " * 40_000])
def test_hostile_texts_take_bounded_time(text: str) -> None:
    """Would run into the tests' time limit if the time grew faster than the length."""
    assert set(entities.extract(text)) == {"people", "organizations", "technical_terms", "concepts"}
    words.summary([text], 200)
    labels.from_words([text], ["A", "Ab Cd"])
