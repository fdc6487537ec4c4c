"""SQLite: the outbox that feeds the vector index. A lock on a file next to the database makes it one worker's."""

# ruff: noqa: S608 - fixed texts and placeholders

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection
from uuid import UUID

import orjson

from . import OutboxItem
from .sqlite import NOT_BLANK
from .sqlite_rows import now
from .sqlite_threads import Threads


class SqliteOutbox:
    """The Outbox protocol; methods as documented there. errors.UnavailableError when the database is away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None
        self._threads: Threads | None = None

    async def acquire(self) -> bool:
        if self._lock is None:
            file = self._path.with_name(self._path.name + "-feeder")
            lock = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however it ends
            except BlockingIOError:
                os.close(lock)
                return False
            self._lock = lock
        if self._threads is None:
            self._threads = Threads(self._path, 1)
            self._threads.open()
        return True

    async def close(self) -> None:
        if self._threads is not None:
            await self._threads.close()
            self._threads = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def unembedded(self, model: str, limit: int) -> list[tuple[UUID, str]]:
        def read(db: Connection) -> list[tuple[UUID, str]]:
            rows = db.execute(
                "SELECT o.message_id, m.content FROM vector_outbox o JOIN messages m ON m.id = o.message_id "
                "LEFT JOIN embeddings e ON e.message_id = o.message_id AND e.model = ? "
                "WHERE o.action = 'upsert' AND e.message_id IS NULL ORDER BY o.id LIMIT ?",
                [model, limit],
            ).fetchall()
            rows += db.execute(
                "SELECT o.message_id, m.content FROM vector_outbox o JOIN messages m ON m.id = o.message_id "
                "WHERE o.action = 'reembed' ORDER BY o.id LIMIT ?",
                [limit],
            ).fetchall()
            return [(UUID(i), content) for i, content in dict(rows).items()][:limit]

        return await self._db.read(read)

    async def save_vectors(self, model: str, vectors: Sequence[tuple[UUID, bytes]]) -> None:
        rows = [(model, len(vector) // 4, vector, str(i)) for i, vector in vectors]

        def write(db: Connection) -> None:
            db.executemany(
                "INSERT OR REPLACE INTO embeddings (message_id, model, dim, vector) "
                "SELECT id, ?, ?, ? FROM messages WHERE id = ?",
                rows,
            )
            db.execute(
                "UPDATE vector_outbox SET action = 'upsert' "
                "WHERE action = 'reembed' AND message_id IN (SELECT value FROM json_each(?))",
                [_json([str(i) for i, _ in vectors])],
            )

        await self._db.write(write)

    async def ready(self, model: str, limit: int) -> list[OutboxItem]:
        def read(db: Connection) -> list[OutboxItem]:
            rows = db.execute(
                "WITH o AS MATERIALIZED (SELECT id, message_id, action FROM vector_outbox "
                "WHERE action <> 'reembed' ORDER BY id LIMIT ?) "
                "SELECT o.id, o.message_id, m.conversation_id, CASE WHEN o.action = 'upsert' THEN e.vector END "
                "FROM o LEFT JOIN messages m ON m.id = o.message_id "
                "LEFT JOIN embeddings e ON e.message_id = o.message_id AND e.model = ? "
                "WHERE o.action = 'delete' OR m.id IS NULL OR e.message_id IS NOT NULL ORDER BY o.id",
                [limit, model],
            )
            return [OutboxItem(row[0], UUID(row[1]), UUID(row[2]) if row[2] else None, row[3]) for row in rows]

        return await self._db.read(read)

    async def done(self, items: Sequence[OutboxItem]) -> None:
        def write(db: Connection) -> None:
            db.execute(
                "UPDATE messages SET embedding_id = id "
                "WHERE embedding_id IS NULL AND id IN (SELECT value FROM json_each(?))",
                [_json([str(item.message_id) for item in items if item.vector is not None])],
            )
            db.execute(
                "DELETE FROM vector_outbox WHERE id IN (SELECT value FROM json_each(?))",
                [_json([item.id for item in items])],
            )

        await self._db.write(write)

    async def adopt_collection(self, name: str, collection_id: str, model: str) -> int:
        def write(db: Connection) -> int:
            row = db.execute("SELECT collection_id, model FROM vector_index_state WHERE name = ?", [name]).fetchone()
            if row == (collection_id, model):
                return 0
            db.execute("INSERT OR REPLACE INTO vector_index_state VALUES (?, ?, ?)", [name, collection_id, model])
            return db.execute(
                "INSERT INTO vector_outbox (message_id, action, created_at) SELECT m.id, 'upsert', ? FROM messages m "
                f"WHERE {NOT_BLANK} AND NOT EXISTS (SELECT 1 FROM vector_outbox o WHERE o.message_id = m.id) "
                "ORDER BY m.conversation_id, m.seq",
                [now()],
            ).rowcount

        return await self._db.write(write)

    @property
    def _db(self) -> Threads:
        assert self._threads is not None  # noqa: S101 - acquire() comes first
        return self._threads


def _json(values: Sequence[object]) -> str:
    return orjson.dumps(values).decode()
