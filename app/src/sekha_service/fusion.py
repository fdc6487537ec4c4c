"""Reciprocal rank fusion: one ranking made of several (Cormack, Clarke and Buettcher 2009, SIGIR)."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

K = 60  # the paper's constant: how fast the weight of a rank falls
T = TypeVar("T", bound=Hashable)


def fuse(rankings: Sequence[Sequence[T]], weights: Sequence[float] | None = None) -> list[tuple[T, float]]:
    """The items of all rankings, best first, each with its fused score, 0..1: 1 = first in every ranking.

    An item's score is the sum of weight / (K + rank) over the rankings that hold it. Ties: the earlier ranking first.
    """
    given = weights or [1.0] * len(rankings)
    scores: dict[T, float] = {}
    for ranking, weight in zip(rankings, given, strict=True):
        for rank, item in enumerate(dict.fromkeys(ranking), start=1):
            scores[item] = scores.get(item, 0.0) + weight / (K + rank)
    highest = sum(given) / (K + 1)
    return sorted(((item, score / highest) for item, score in scores.items()), key=lambda pair: -pair[1])
