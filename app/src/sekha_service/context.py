"""Assembling a context: recall, rank, pack. Citing is done where the answer is written."""

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from .model import PINNED_SCORE, Hit, MessageFilter
from .recall import Recall
from .store import Store

_RECALLED = 200
_PREFERRED_DAYS = 7
_FILL = 0.85  # of the budget
# Of pinned and of preferred messages, the newest are looked at: more than any budget takes.
MOST = 2000


@dataclass(frozen=True)
class Chosen:
    """A message of the context with its similarity to the query (0 = unknown)."""

    hit: Hit
    similarity: float

    @property
    def tokens(self) -> int:
        """Its estimated tokens."""
        return len(self.hit.message.content) // 4


@dataclass(frozen=True)
class Wanted:
    """What the context is for: the query, its budget in tokens, labels to prefer, folders to leave out."""

    query: str
    budget: int
    labels: frozenset[str]
    excluded: tuple[str, ...]


async def assemble(store: Store, recall: Recall, wanted: Wanted) -> list[Chosen]:
    """The messages that fit the budget, most valuable first."""
    if math.floor(_FILL * wanted.budget) <= 0:
        return []
    now = datetime.now(UTC)
    ranked = sorted(
        await _candidates(store, recall, wanted, now),
        key=lambda it: (
            -value(it.hit, wanted.labels, now),
            -it.similarity,
            -it.hit.message.timestamp.timestamp(),
            it.hit.message.id,
        ),
    )
    return pack(ranked, wanted.budget)


async def _candidates(store: Store, recall: Recall, wanted: Wanted, now: datetime) -> Iterable[Chosen]:
    anything = MessageFilter(archived=False, excluded_folders=wanted.excluded)
    active = replace(anything, archived=None, status="active")
    pinned = replace(active, importance_min=PINNED_SCORE)
    preferred = replace(active, labels=tuple(sorted(wanted.labels)))

    async def nothing() -> Sequence[Hit]:
        return []

    similar, important, labelled = await asyncio.gather(
        recall.find(wanted.query, anything, _RECALLED),
        store.newest_of(pinned, None, MOST),
        store.newest_of(preferred, now - timedelta(days=_PREFERRED_DAYS), MOST) if wanted.labels else nothing(),
    )
    found: dict[UUID, Chosen] = {hit.message.id: Chosen(hit, 0.0) for hit in (*important, *labelled)}
    found.update({it.hit.message.id: Chosen(it.hit, it.similarity or 0.0) for it in similar})
    return found.values()


def value(hit: Hit, preferred: frozenset[str], now: datetime) -> float:
    """0.5 importance + 0.3 recency + 0.2 label; recency halves each week, 0.1 at least; a preferred label is 5."""
    days = max(0, (now - hit.message.timestamp).days)
    recency = max(0.1, math.exp2(-days / 7))
    label = 5.0 if hit.label in preferred else 0.0
    return 0.5 * min(hit.importance_score, PINNED_SCORE) + 0.3 * recency + 0.2 * label


def pack(ranked: Iterable[Chosen], budget: int) -> list[Chosen]:
    """In rank order, what fits into 85 % of the budget; what doesn't fit is skipped."""
    target = math.floor(_FILL * budget)
    total = 0
    packed: list[Chosen] = []
    for it in ranked:
        if total >= target:
            break
        if total + it.tokens <= target:
            packed.append(it)
            total += it.tokens
    return packed
