"""PostgreSQL: the store's wide views; see overview.py."""

# ruff: noqa: S608 - conditions are fixed texts, values are placeholders

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ..model import PINNED_SCORE, Conversation, ListFilter, Message
from .overview import TOKENS, Candidate, Group, StatsFilter
from .postgres_pool import Pool
from .postgres_rows import CONVERSATION, MESSAGE, list_condition


class PostgresOverview:
    """The Overview part of the Store protocol."""

    _pool: Pool

    async def groups(self, where: StatsFilter) -> list[Group]:
        condition, values = _stats_condition(where)
        rows = await self._pool.fetch(
            "SELECT c.label, c.folder, c.status, count(*), sum(c.message_count), "
            f"sum({TOKENS}), sum(c.importance_score), "
            f"min(c.created_at), max(c.created_at) FROM conversations c WHERE {condition} "
            "GROUP BY c.label, c.folder, c.status",
            values,
        )
        return [Group(a, b, c, n, int(m), int(t), float(i), x, y) for a, b, c, n, m, t, i, x, y in rows]

    async def candidates(
        self, before: datetime, importance_most: float | None, limit: int
    ) -> tuple[list[Candidate], int]:
        condition = "status = 'active' AND updated_at < %s AND importance_score < %s"
        values: list[Any] = [before, PINNED_SCORE]
        if importance_most is not None:
            condition += " AND importance_score <= %s"
            values.append(importance_most)
        rows = await self._pool.fetch(
            f"SELECT {CONVERSATION}, coalesce((SELECT left(m.content, 100) FROM messages m "
            "WHERE m.conversation_id = conversations.id ORDER BY m.seq DESC LIMIT 1), '') "
            f"FROM conversations WHERE {condition} ORDER BY updated_at, id LIMIT %s",
            [*values, limit],
        )
        found = [Candidate(Conversation(*row[:-1]), row[-1]) for row in rows]
        if len(found) < limit:
            return found, len(found)
        total = await self._pool.fetch(f"SELECT count(*) FROM conversations WHERE {condition}", values)
        return found, int(total[0][0])

    async def archive(self, ids: Sequence[UUID]) -> set[UUID]:
        # Rows are locked in one order, so that two calls at the same time can't block each other for ever.
        rows = await self._pool.fetch(
            "WITH chosen AS (SELECT id FROM conversations WHERE id = ANY(%s) ORDER BY id FOR UPDATE) "
            "UPDATE conversations c SET status = 'archived', "
            "updated_at = greatest(clock_timestamp(), c.updated_at + interval '1 microsecond') "
            "FROM chosen WHERE c.id = chosen.id RETURNING c.id",
            [list(ids)],
        )
        return {row[0] for row in rows}

    async def ids(self, where: ListFilter) -> list[UUID]:
        condition, values = list_condition(where)
        rows = await self._pool.fetch(
            f"SELECT id FROM conversations WHERE {condition} ORDER BY created_at, id",
            values,
        )
        return [row[0] for row in rows]

    async def get_many(self, ids: Sequence[UUID]) -> list[tuple[Conversation, list[Message]]]:
        rows = await self._pool.fetch(
            f"SELECT {CONVERSATION} FROM conversations WHERE id = ANY(%s)",
            [list(ids)],
        )
        messages: dict[UUID, list[Message]] = {row[0]: [] for row in rows}
        for row in await self._pool.fetch(
            f"SELECT {MESSAGE} FROM messages WHERE conversation_id = ANY(%s) ORDER BY conversation_id, seq",
            [list(messages)],
        ):
            messages[row[1]].append(Message(*row))
        found = {row[0]: Conversation(*row) for row in rows}
        return [(found[i], messages[i]) for i in ids if i in found]


def _stats_condition(where: StatsFilter) -> tuple[str, list[Any]]:
    """The SQL condition of a StatsFilter over conversations c, and its values."""
    parts = ["true"]
    values: list[Any] = []
    for condition, value in (
        ("c.label = ANY(%s)", None if where.labels is None else list(where.labels)),
        ("c.folder = ANY(%s)", None if where.folders is None else list(where.folders)),
        ("c.status = %s", where.status),
        ("c.created_at >= %s", where.created_from),
        ("c.created_at <= %s", where.created_to),
    ):
        if value is not None:
            parts.append(condition)
            values.append(value)
    return " AND ".join(parts), values
