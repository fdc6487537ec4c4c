"""PostgreSQL: the outbox that feeds the vector index, on a connection of its own that holds the worker's lock."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from . import OutboxItem
from .postgres_pool import CONNECTION_OPTIONS

_PIECE = 2000
_FROM_START_SECONDS = 5.0
LOCK_ID = 0x53454B48_4102  # "SEKHA", outbox


class PostgresOutbox:
    """The Outbox protocol; methods as documented there. psycopg.OperationalError when the database is away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AsyncConnection[tuple[Any, ...]] | None = None
        self._embedded = 0  # all entries up to this one have their vectors, but for late ones
        self._from_start_at = 0.0

    async def acquire(self) -> bool:
        if self._connection is None or self._connection.closed:
            self._connection = await AsyncConnection.connect(
                self._url, **CONNECTION_OPTIONS, autocommit=True, application_name="sekha-outbox"
            )
            self._embedded, self._from_start_at = 0, 0.0
            await self._connection.execute("SET statement_timeout = '10min'")  # queueing everything anew takes a while
        rows = await self._fetch("SELECT pg_try_advisory_lock(%s)", [LOCK_ID])
        if rows[0][0]:
            return True
        await self.close()  # don't keep a connection just for waiting
        return False

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def unembedded(self, model: str, limit: int) -> list[tuple[UUID, str]]:
        rows = await self._lacking(model, limit)
        if not rows:
            rows = await self._fetch(
                "SELECT o.id, o.message_id, m.content FROM vector_outbox o JOIN messages m ON m.id = o.message_id "
                "WHERE o.action = 'reembed' ORDER BY o.id LIMIT %s",
                [limit],
            )
        return list({row[1]: row[2] for row in rows}.items())

    async def _lacking(self, model: str, limit: int) -> list[tuple[Any, ...]]:
        """The oldest upserts without a vector: (outbox id, message, content).

        In pieces, from where the last ones were: reading all that waits, each time, would slow down a long outbox. From
        the beginning now and then: an entry of a lower number may have been committed later.
        """
        while True:
            last, count = (
                await self._fetch(
                    "SELECT max(id), count(*) FROM (SELECT id FROM vector_outbox "
                    "WHERE action = 'upsert' AND id > %s ORDER BY id LIMIT %s) AS piece",
                    [self._embedded, _PIECE],
                )
            )[0]
            rows = await self._fetch(
                "SELECT o.id, o.message_id, m.content FROM vector_outbox o JOIN messages m ON m.id = o.message_id "
                "LEFT JOIN embeddings e ON e.message_id = o.message_id AND e.model = %s "
                "WHERE o.action = 'upsert' AND e.message_id IS NULL AND o.id > %s AND o.id <= %s "
                "ORDER BY o.id LIMIT %s",
                [model, self._embedded, last or 0, limit],
            )
            if rows:
                self._embedded = rows[0][0] - 1
                return rows
            if count == _PIECE:
                self._embedded = last
                continue
            if self._embedded == 0 or time.monotonic() < self._from_start_at:
                return []
            self._embedded, self._from_start_at = 0, time.monotonic() + _FROM_START_SECONDS

    async def save_vectors(self, model: str, vectors: Sequence[tuple[UUID, bytes]]) -> None:
        await self._fetch(
            "WITH made AS (UPDATE vector_outbox SET action = 'upsert' "
            "WHERE action = 'reembed' AND message_id = ANY(%s)) "
            "INSERT INTO embeddings (message_id, model, dim, vector) "
            "SELECT v.id, %s, length(v.vector) / 4, v.vector FROM unnest(%s::uuid[], %s::bytea[]) AS v (id, vector) "
            "JOIN messages m ON m.id = v.id FOR KEY SHARE OF m "
            "ON CONFLICT (message_id) DO UPDATE "
            "SET model = excluded.model, dim = excluded.dim, vector = excluded.vector "
            "RETURNING 1",
            [[i for i, _ in vectors], model, [i for i, _ in vectors], [v for _, v in vectors]],
        )

    async def ready(self, model: str, limit: int) -> list[OutboxItem]:
        rows = await self._fetch(
            "WITH o AS MATERIALIZED (SELECT id, message_id, action FROM vector_outbox "
            "WHERE action <> 'reembed' ORDER BY id LIMIT %s) "
            "SELECT o.id, o.message_id, m.conversation_id, CASE WHEN o.action = 'upsert' THEN e.vector END "
            "FROM o LEFT JOIN messages m ON m.id = o.message_id "
            "LEFT JOIN embeddings e ON e.message_id = o.message_id AND e.model = %s "
            "WHERE o.action = 'delete' OR m.id IS NULL OR e.message_id IS NOT NULL ORDER BY o.id",
            [limit, model],
        )
        return [OutboxItem(*row) for row in rows]

    async def done(self, items: Sequence[OutboxItem]) -> None:
        await self._fetch(
            "WITH marked AS (UPDATE messages SET embedding_id = id WHERE id = ANY(%s) AND embedding_id IS NULL) "
            "DELETE FROM vector_outbox WHERE id = ANY(%s) RETURNING 1",
            [[item.message_id for item in items if item.vector is not None], [item.id for item in items]],
        )

    async def adopt_collection(self, name: str, collection_id: str, model: str) -> int:
        rows = await self._fetch("SELECT collection_id, model FROM vector_index_state WHERE name = %s", [name])
        if rows and tuple(rows[0]) == (collection_id, model):
            return 0
        rows = await self._fetch(
            "WITH state AS (INSERT INTO vector_index_state (name, collection_id, model) VALUES (%s, %s, %s) "
            "ON CONFLICT (name) DO UPDATE SET collection_id = excluded.collection_id, model = excluded.model), "
            "queued AS (INSERT INTO vector_outbox (message_id, action) SELECT m.id, 'upsert' FROM messages m "
            r"WHERE m.content ~ '\S' AND NOT EXISTS (SELECT 1 FROM vector_outbox o WHERE o.message_id = m.id) "
            "ORDER BY m.conversation_id, m.seq RETURNING 1) SELECT count(*) FROM queued",
            [name, collection_id, model],
        )
        return int(rows[0][0])

    async def _fetch(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        assert self._connection is not None  # noqa: S101 - acquire() comes first
        return await (await self._connection.execute(sql.encode(), values)).fetchall()
