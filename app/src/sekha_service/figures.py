"""Statistics over conversations, from the store's groups."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .store import Store
from .store.overview import Group, StatsFilter


@dataclass(frozen=True)
class Figures:
    """Totals and distributions; `average_importance` is 0.0 and the dates are None when there is nothing."""

    conversations: int
    messages: int
    tokens: int
    average_importance: float
    by_label: dict[str, int]
    by_folder: dict[str, int]
    by_status: dict[str, int]
    first: datetime | None
    last: datetime | None


async def collect(store: Store, where: StatsFilter) -> Figures:
    """The figures of the conversations that match."""
    return summed(await store.groups(where))


def summed(groups: Sequence[Group]) -> Figures:
    """Totals and distributions over the groups."""
    labels: Counter[str] = Counter()
    folders: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for group in groups:
        labels[group.label] += group.conversations
        folders[group.folder] += group.conversations
        statuses[group.status] += group.conversations
    total = statuses.total()
    importance = sum(group.importance for group in groups)
    return Figures(
        conversations=total,
        messages=sum(group.messages for group in groups),
        tokens=sum(group.tokens for group in groups),
        average_importance=importance / total if total else 0.0,
        by_label=dict(sorted(labels.items())),
        by_folder=dict(sorted(folders.items())),
        by_status=dict(sorted(statuses.items())),
        first=min((group.first for group in groups), default=None),
        last=max((group.last for group in groups), default=None),
    )
