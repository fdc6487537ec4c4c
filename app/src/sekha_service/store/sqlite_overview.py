"""SQLite: the store's wide views; see overview.py."""

# ruff: noqa: S608 - conditions are fixed texts, values are placeholders

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from sqlite3 import Connection
from typing import Any
from uuid import UUID

import orjson

from ..model import PINNED_SCORE, Conversation, ListFilter, Message
from .overview import TOKENS, Candidate, Group, StatsFilter
from .sqlite_rows import CONVERSATION, MESSAGE, conversation, instant, list_condition, message, moment
from .sqlite_threads import Threads

_CHOSEN = "IN (SELECT value FROM json_each(?))"


class SqliteOverview:
    """The Overview part of the Store protocol."""

    _threads: Threads

    async def groups(self, where: StatsFilter) -> list[Group]:
        condition, values = _stats_condition(where)
        sql = (
            "SELECT c.label, c.folder, c.status, count(*), sum(c.message_count), "
            f"sum({TOKENS}), sum(c.importance_score), "
            f"min(c.created_at), max(c.created_at) FROM conversations c WHERE {condition} "
            "GROUP BY c.label, c.folder, c.status"
        )
        rows = await self._threads.read(lambda db: db.execute(sql, values).fetchall())
        return [Group(a, b, c, n, m, t, float(i), instant(x), instant(y)) for a, b, c, n, m, t, i, x, y in rows]

    async def candidates(
        self, before: datetime, importance_most: float | None, limit: int
    ) -> tuple[list[Candidate], int]:
        condition = "c.status = 'active' AND c.updated_at < ? AND c.importance_score < ?"
        values: list[Any] = [moment(before), PINNED_SCORE]
        if importance_most is not None:
            condition += " AND c.importance_score <= ?"
            values.append(importance_most)
        sql = (
            f"SELECT {CONVERSATION}, coalesce((SELECT substr(m.content, 1, 100) FROM messages m "
            "WHERE m.conversation_id = c.id ORDER BY m.seq DESC LIMIT 1), '') "
            f"FROM conversations c WHERE {condition} ORDER BY c.updated_at, c.id LIMIT ?"
        )

        def read(db: Connection) -> tuple[list[Candidate], int]:
            found = [Candidate(conversation(row[:-1]), row[-1]) for row in db.execute(sql, [*values, limit])]
            if len(found) < limit:
                return found, len(found)
            total = db.execute(f"SELECT count(*) FROM conversations c WHERE {condition}", values).fetchone()
            return found, int(total[0])

        return await self._threads.read(read)

    async def archive(self, ids: Sequence[UUID]) -> set[UUID]:
        def write(db: Connection) -> set[UUID]:
            at = datetime.now(UTC)
            rows = db.execute(f"SELECT id, updated_at FROM conversations WHERE id {_CHOSEN}", [_json(ids)]).fetchall()
            db.executemany(
                "UPDATE conversations SET status = 'archived', updated_at = ? WHERE id = ?",
                [(moment(max(at, instant(last) + timedelta(microseconds=1))), key) for key, last in rows],
            )
            return {UUID(key) for key, _ in rows}

        return await self._threads.write(write)

    async def ids(self, where: ListFilter) -> list[UUID]:
        condition, values = list_condition(where)
        sql = f"SELECT c.id FROM conversations c WHERE {condition} ORDER BY c.created_at, c.id"
        return [UUID(row[0]) for row in await self._threads.read(lambda db: db.execute(sql, values).fetchall())]

    async def get_many(self, ids: Sequence[UUID]) -> list[tuple[Conversation, list[Message]]]:
        def read(db: Connection) -> list[tuple[Conversation, list[Message]]]:
            chosen = [_json(ids)]
            rows = db.execute(f"SELECT {CONVERSATION} FROM conversations c WHERE c.id {_CHOSEN}", chosen)
            found = {it.id: it for it in map(conversation, rows)}
            messages: dict[UUID, list[Message]] = {i: [] for i in found}
            for row in db.execute(
                f"SELECT {MESSAGE} FROM messages m WHERE m.conversation_id {_CHOSEN} ORDER BY m.conversation_id, m.seq",
                chosen,
            ):
                it = message(row)
                messages[it.conversation_id].append(it)
            return [(found[i], messages[i]) for i in ids if i in found]

        return await self._threads.read(read)


def _json(ids: Sequence[UUID]) -> str:
    return orjson.dumps([str(i) for i in ids]).decode()


def _stats_condition(where: StatsFilter) -> tuple[str, list[Any]]:
    """The SQL condition of a StatsFilter over conversations c, and its values."""
    parts = ["true"]
    values: list[Any] = []
    for condition, value in (
        (f"c.label {_CHOSEN}", None if where.labels is None else orjson.dumps(where.labels).decode()),
        (f"c.folder {_CHOSEN}", None if where.folders is None else orjson.dumps(where.folders).decode()),
        ("c.status = ?", where.status),
        ("c.created_at >= ?", where.created_from and moment(where.created_from)),
        ("c.created_at <= ?", where.created_to and moment(where.created_to)),
    ):
        if value is not None:
            parts.append(condition)
            values.append(value)
    return " AND ".join(parts), values
