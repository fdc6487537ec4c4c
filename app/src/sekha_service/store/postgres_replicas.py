"""PostgreSQL: the outbox of several replicas of the vector index, with what each of them has still to learn."""

from collections.abc import Sequence
from uuid import UUID

from . import OutboxItem
from .postgres_outbox import PostgresOutbox


class PostgresReplicaOutbox(PostgresOutbox):
    """The ReplicaOutbox protocol; methods as documented there."""

    async def adopt_replica(self, name: str, collection_id: str, model: str) -> int:
        rows = await self._fetch("SELECT collection_id, model FROM vector_index_state WHERE name = %s", [name])
        if rows and tuple(rows[0]) == (collection_id, model):
            return 0
        rows = await self._fetch(
            "WITH state AS (INSERT INTO vector_index_state (name, collection_id, model) VALUES (%s, %s, %s) "
            "ON CONFLICT (name) DO UPDATE SET collection_id = excluded.collection_id, model = excluded.model), "
            "queued AS (INSERT INTO vector_behind (replica, message_id) SELECT %s, e.message_id FROM embeddings e "
            "WHERE e.model = %s ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM queued",
            [name, collection_id, model, name, model],
        )
        return int(rows[0][0])

    async def done_but_for(self, items: Sequence[OutboxItem], missed: Sequence[str]) -> None:
        await self._fetch(
            "WITH missed AS (INSERT INTO vector_behind (replica, message_id) "
            "SELECT DISTINCT name, id FROM unnest(%s::text[]) AS name, unnest(%s::uuid[]) AS id "
            "ON CONFLICT DO NOTHING), "
            "marked AS (UPDATE messages SET embedding_id = id WHERE id = ANY(%s) AND embedding_id IS NULL) "
            "DELETE FROM vector_outbox WHERE id = ANY(%s) RETURNING 1",
            [
                list(missed),
                [item.message_id for item in items],
                [item.message_id for item in items if item.vector is not None],
                [item.id for item in items],
            ],
        )

    async def behind(self, name: str, model: str, limit: int) -> list[OutboxItem]:
        rows = await self._fetch(
            "WITH head AS MATERIALIZED (SELECT message_id FROM vector_behind WHERE replica = %s "
            "ORDER BY message_id LIMIT %s) "
            "SELECT h.message_id, m.conversation_id, e.vector FROM head h LEFT JOIN messages m ON m.id = h.message_id "
            "LEFT JOIN embeddings e ON e.message_id = h.message_id AND e.model = %s",
            [name, limit, model],
        )
        return [OutboxItem(0, *row) for row in rows]

    async def caught_up(self, name: str, messages: Sequence[UUID]) -> None:
        await self._fetch(
            "DELETE FROM vector_behind WHERE replica = %s AND message_id = ANY(%s) RETURNING 1", [name, list(messages)]
        )
