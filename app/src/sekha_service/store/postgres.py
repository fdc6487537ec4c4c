"""PostgreSQL: conversations and messages. The searches are in postgres_search.py, the pool in postgres_pool.py."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import orjson
from psycopg import AsyncConnection, errors
from psycopg.types.json import Jsonb

from ..errors import UnavailableError
from ..model import Changes, Conversation, ListFilter, Message, NewConversation, Totals
from .key_tables import PostgresKeyTable
from .postgres_json import PostgresJson
from .postgres_memories import PostgresMemories
from .postgres_overview import PostgresOverview
from .postgres_pool import Pool
from .postgres_rows import CONVERSATION, counting
from .postgres_search import PostgresSearch

_CREATE = f"""
WITH conversation AS (
    INSERT INTO conversations (id, label, folder, importance_score, word_count, message_count, token_count, metadata)
    VALUES (%(id)s, %(label)s, %(folder)s, %(score)s, %(words)s, %(count)s, %(tokens)s, %(metadata)s)
    RETURNING {CONVERSATION}
), message AS (
    INSERT INTO messages (id, conversation_id, seq, role, content, "timestamp", metadata)
    SELECT m.id, %(id)s, m.seq - 1, m.role, m.content, coalesce(m.at, now()), m.metadata::jsonb
    FROM unnest(%(ids)s::uuid[], %(roles)s::text[], %(contents)s::text[], %(times)s::timestamptz[], %(metas)s::text[])
         WITH ORDINALITY AS m (id, role, content, at, metadata, seq)
), outbox AS (
    INSERT INTO vector_outbox (message_id, action)
    SELECT queued.id, 'upsert' FROM unnest(%(queue)s::uuid[]) WITH ORDINALITY AS queued (id, seq) ORDER BY queued.seq
)
SELECT {CONVERSATION} FROM conversation
"""  # noqa: S608 - fixed text
_BY_ID = f"SELECT {CONVERSATION} FROM conversations WHERE id = %s"  # noqa: S608 - fixed text
# In one round trip: the conversation before each of its messages.
_WHOLE = f"""
SELECT {", ".join(f"c.{name}" for name in CONVERSATION.split(", "))},
    m.id, m.role, m.content, m."timestamp", m.embedding_id, m.metadata
FROM conversations c LEFT JOIN messages m ON m.conversation_id = c.id WHERE c.id = %s ORDER BY m.seq
"""  # noqa: S608 - fixed text
_UPDATE = f"""
UPDATE conversations SET label = coalesce(%(label)s, label), folder = coalesce(%(folder)s, folder),
    status = coalesce(%(status)s, status), importance_score = coalesce(%(score)s, importance_score),
    updated_at = greatest(clock_timestamp(), updated_at + interval '1 microsecond')
WHERE id = %(id)s RETURNING {CONVERSATION}
"""  # noqa: S608 - fixed text
_DELETE = """
WITH outbox AS (
    INSERT INTO vector_outbox (message_id, action) SELECT id, 'delete' FROM messages WHERE conversation_id = %(id)s
)
DELETE FROM conversations WHERE id = %(id)s RETURNING id
"""
REBUILD_LOCK_ID = 0x53454B48_4103  # "SEKHA", rebuild
_REBUILD = r"""
WITH start AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(%(lock)s)
       AND NOT EXISTS (SELECT 1 FROM vector_outbox WHERE action = 'reembed') AS wanted
), queued AS (
    INSERT INTO vector_outbox (message_id, action)
    SELECT m.id, 'reembed' FROM messages m, start WHERE start.wanted AND m.content ~ '\S'
    ORDER BY m.conversation_id, m.seq
    RETURNING 1
)
SELECT (SELECT count(*) FROM queued) + (SELECT count(*) FROM vector_outbox WHERE action = 'reembed')
"""


class PostgresStore(PostgresSearch, PostgresOverview, PostgresMemories, PostgresJson):
    """The Store protocol on PostgreSQL; methods as documented there."""

    def __init__(self, url: str, max_connections: int, acquire_seconds: float) -> None:
        self._pool = Pool(url, max_connections, acquire_seconds)
        super().__init__(self._pool)
        self.keys = PostgresKeyTable(self._pool)

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def ping(self) -> None:
        await self._pool.ping()

    async def create(self, new: NewConversation, embed: bool) -> Conversation:
        ids = [uuid4() for _ in new.messages]
        values = {
            "id": uuid4(),
            "label": new.label,
            "folder": new.folder,
            "score": new.importance_score,
            "words": new.word_count,
            "count": len(new.messages),
            "tokens": new.token_count,
            "metadata": Jsonb(new.metadata, orjson.dumps),
            "ids": ids,
            "roles": [m.role for m in new.messages],
            "contents": [m.content for m in new.messages],
            "times": [m.timestamp for m in new.messages],
            "metas": [None if m.metadata is None else orjson.dumps(m.metadata).decode() for m in new.messages],
            "queue": [i for i, m in zip(ids, new.messages, strict=True) if embed and m.content.strip()],
        }

        tried = False

        async def write(connection: AsyncConnection[Any], repeated: bool) -> Any:
            nonlocal tried
            # A connection that died while the statement ran leaves open whether it was committed. The ids were chosen
            # before: look, then write again under the same ids, so that nothing is stored twice.
            for attempt in (0, 1):
                if repeated or attempt:
                    found = await (await connection.execute(_BY_ID, (values["id"],))).fetchone()
                    if found:
                        return found
                tried = True
                try:
                    return await (await connection.execute(_CREATE, values)).fetchone()
                except errors.UniqueViolation:
                    if not repeated or attempt:
                        raise
            return None

        try:
            return Conversation(*await self._pool.run(write))
        except UnavailableError:
            # The last attempt may have been committed before its connection broke: not an error then.
            found = await self._pool.fetch(_BY_ID, (values["id"],)) if tried else []
            if not found:
                raise
            return Conversation(*found[0])

    async def get(self, conversation_id: UUID) -> tuple[Conversation, list[Message]] | None:
        async def read(connection: AsyncConnection[Any], repeated: bool) -> Any:
            return await (await connection.execute(_WHOLE, (conversation_id,))).fetchall()

        rows = await self._pool.run(read)
        if not rows:
            return None
        messages = [Message(row[11], conversation_id, *row[12:]) for row in rows if row[11] is not None]
        return Conversation(*rows[0][:11]), messages

    async def count(self, where: ListFilter) -> int:
        rows = await self._pool.fetch(*counting(where))
        return int(rows[0][0])

    async def update(self, conversation_id: UUID, changes: Changes) -> Conversation | None:
        values = {
            "id": conversation_id,
            "label": changes.label,
            "folder": changes.folder,
            "status": changes.status,
            "score": changes.importance_score,
        }
        rows = await self._pool.fetch(_UPDATE, values)
        return Conversation(*rows[0]) if rows else None

    async def delete(self, conversation_id: UUID) -> bool:
        seen = False

        async def remove(connection: AsyncConnection[Any], repeated: bool) -> bool:
            nonlocal seen
            if not repeated:
                seen = bool(await (await connection.execute(_BY_ID, (conversation_id,))).fetchone())
                if not seen:
                    return False
            gone = await (await connection.execute(_DELETE, {"id": conversation_id})).fetchone()
            # Not there any more after a connection that died: our own first attempt was committed.
            return bool(gone) or (repeated and seen)

        return await self._pool.run(remove)

    async def rebuild(self) -> int:
        rows = await self._pool.fetch(_REBUILD, {"lock": REBUILD_LOCK_ID})
        return int(rows[0][0])

    async def complete_replicas(self, names: Sequence[str]) -> dict[str, str]:
        """Of these replicas of the index, those that miss nothing: name -> id of the collection that is so."""
        rows = await self._pool.fetch(
            "SELECT s.name, s.collection_id FROM vector_index_state s WHERE s.name = ANY(%s) "
            "AND NOT EXISTS (SELECT 1 FROM vector_behind b WHERE b.replica = s.name)",
            [list(names)],
        )
        return {row[0]: row[1] for row in rows}

    async def totals(self) -> Totals:
        async def read(connection: AsyncConnection[Any], repeated: bool) -> Totals:
            size = await (await connection.execute("SELECT pg_database_size(current_database())")).fetchone()
            by_status = await (
                await connection.execute(
                    "SELECT status, sum(conversations), sum(messages) FROM counters GROUP BY status"
                )
            ).fetchall()
            waiting = await (
                await connection.execute(
                    "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0), "
                    "(SELECT count(*) FROM (SELECT 1 FROM vector_behind LIMIT 100000) b) FROM vector_outbox"
                )
            ).fetchone()
            assert size is not None  # noqa: S101 - aggregates always return a row
            assert waiting is not None  # noqa: S101
            return Totals(
                database_bytes=int(size[0]),
                messages=sum(int(row[2]) for row in by_status),
                conversations_by_status={row[0]: int(row[1]) for row in by_status},
                outbox=int(waiting[0]),
                outbox_age_seconds=max(0.0, float(waiting[1])),
                behind=int(waiting[2]),
            )

        return await self._pool.run(read)
