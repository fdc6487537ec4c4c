"""What a drill counts as lost."""

from __future__ import annotations

from typing import Any

import pytest

from ops.drill.__main__ import broken
from ops.drill.compare import Loss, loss
from ops.drill.fill import vector
from ops.drill.load import TOPICS, Ack, not_by_meaning

ACKS = [Ack(str(number), 100.0 + number) for number in range(10)]


@pytest.mark.parametrize(
    ("missing", "lost", "seconds", "holes"),
    [
        ((), 0, 0.0, 0),
        (("8", "9"), 2, 2.5, 0),
        (("7", "9"), 2, 3.5, 0),
        (("2",), 1, 8.5, 1),
        (tuple("0123456789"), 10, 10.5, 0),
    ],
)
def test_loss(missing: tuple[str, ...], lost: int, seconds: float, holes: int) -> None:
    present = [ack.id for ack in ACKS if ack.id not in missing]
    found = loss(ACKS, present, cut=110.5, parallel=2)
    assert (found.acknowledged, found.lost, found.seconds, found.holes) == (10, lost, seconds, holes)


@pytest.mark.parametrize(
    ("content", "score", "missed"),
    [
        pytest.param(TOPICS[2], 1.0, False, id="by meaning"),
        pytest.param(f"Noted: {TOPICS[2]}", 0.995, True, id="its neighbour"),
        pytest.param(TOPICS[2], 0.375, True, id="by words: the index is away or new"),
        pytest.param("", 0.0, True, id="nothing"),
    ],
)
def test_a_topic_counts_as_found_by_meaning_alone(content: str, score: float, missed: bool) -> None:
    best = [(topic, 1.0) for topic in TOPICS]
    best[2] = (content, score)
    said = not_by_meaning(best)
    assert len(said) == missed
    assert all(TOPICS[2] in text and content[:50] in text and f"{score:g}" in text for text in said)


def test_a_vector_is_the_same_each_time() -> None:
    assert vector(7) == vector(7) != vector(8)
    assert len(vector(7)) == 3 + 384 * 8


GOOD: dict[str, Any] = {
    "lost": Loss(100, 4, 4.0, 0),
    "idle": 2.0,
    "bulk": True,
    "searches": True,
    "stands": ["cx23 in fsn1"],
}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, ""),
        ({"lost": Loss(100, 9, 9.0, 0)}, "RPO under writes 9.0 s > 5 s and one upload"),
        ({"lost": Loss(100, 9, 4.0, 2)}, "2 acknowledged rows are missing although later ones are there"),
        ({"lost": Loss(1, 0, 0.0, 0)}, "nothing was acknowledged"),
        ({"idle": 61.0}, "RPO idle 61.0 s > 60 s"),
        ({"bulk": False}, "the bulk differs"),
        ({"searches": False}, "searches differ"),
        ({"stands": ["cx23 in nbg1"]}, "the stack was to move"),
    ],
)
def test_broken_promises_are_named(wrong: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.drill.__main__.MOVE", {"sekha:regions": "fsn1"})
    said = broken(**GOOD | wrong)
    assert [text[: len(words)] for text in said] == ([words] if words else [])
