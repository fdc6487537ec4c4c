"""SQLite: conversations and messages. The searches are in sqlite_search.py, the threads in sqlite_threads.py."""

# ruff: noqa: S608 - conditions are fixed texts, values are placeholders

from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection
from uuid import UUID, uuid4

import orjson

from ..errors import UnavailableError
from ..model import Changes, Conversation, ListFilter, Message, NewConversation, Totals
from .key_tables import SqliteKeyTable
from .sqlite_json import SqliteJson
from .sqlite_memories import SqliteMemories
from .sqlite_overview import SqliteOverview
from .sqlite_rows import CONVERSATION, MESSAGE, conversation, instant, list_condition, message, moment, now
from .sqlite_search import SqliteSearch
from .sqlite_threads import Threads
from .sqlite_vectors import SqliteVectors

# Reading scales with the cores, not with the connections: more threads than this only wait for each other.
MOST_READERS = 8
NOT_BLANK = "trim(content, char(9, 10, 11, 12, 13, 32)) <> ''"
_BY_ID = f"SELECT {CONVERSATION} FROM conversations c WHERE c.id = ?"


class SqliteStore(SqliteSearch, SqliteMemories, SqliteOverview, SqliteVectors, SqliteJson):
    """The Store protocol on SQLite; methods as documented there."""

    def __init__(self, path: Path, max_connections: int) -> None:
        self._threads = Threads(path, max(1, min(max_connections, MOST_READERS)))
        self.keys = SqliteKeyTable(self._threads)

    async def open(self) -> None:
        self._threads.open()

    async def close(self) -> None:
        await self._threads.close()

    async def ping(self) -> None:
        self._threads.check_file()
        await self._threads.read(lambda db: db.execute("SELECT max(version) FROM schema_version").fetchone())

    async def create(self, new: NewConversation, embed: bool) -> Conversation:
        key, at = str(uuid4()), now()
        rows = [
            (
                str(uuid4()),
                key,
                seq,
                m.role,
                m.content,
                moment(m.timestamp) if m.timestamp else at,
                None if m.metadata is None else orjson.dumps(m.metadata).decode(),
            )
            for seq, m in enumerate(new.messages)
        ]
        queue = [(row[0], at) for row in rows if embed and row[4].strip()]
        values = (
            key, new.label, new.label.lower(), new.folder, new.importance_score, new.word_count, len(rows),
            new.token_count, orjson.dumps(new.metadata).decode(), at, at,
        )  # fmt: skip

        def insert(db: Connection) -> Conversation:
            db.execute(
                "INSERT INTO conversations (id, label, label_lower, folder, importance_score, word_count, "
                "message_count, token_count, metadata, created_at, updated_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            db.executemany(
                'INSERT INTO messages (id, conversation_id, seq, role, content, "timestamp", metadata) '
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            db.executemany("INSERT INTO vector_outbox (message_id, action, created_at) VALUES (?, 'upsert', ?)", queue)
            return _require(db, key)

        return await self._threads.write(insert)

    async def get(self, conversation_id: UUID) -> tuple[Conversation, list[Message]] | None:
        def read(db: Connection) -> tuple[Conversation, list[Message]] | None:
            found = _find(db, str(conversation_id))
            if found is None:
                return None
            rows = db.execute(
                f"SELECT {MESSAGE} FROM messages m WHERE m.conversation_id = ? ORDER BY m.seq", [str(conversation_id)]
            )
            return found, [message(row) for row in rows]

        return await self._threads.read(read)

    async def page(self, where: ListFilter, limit: int, offset: int) -> tuple[list[Conversation], int]:
        condition, values = list_condition(where)

        def read(db: Connection) -> tuple[list[Conversation], int]:
            rows = db.execute(
                f"SELECT {CONVERSATION} FROM conversations c WHERE {condition} "
                "ORDER BY c.updated_at DESC, c.id LIMIT ? OFFSET ?",
                [*values, limit, offset],
            )
            return [conversation(row) for row in rows], _count(db, where)

        return await self._threads.read(read)

    async def count(self, where: ListFilter) -> int:
        return await self._threads.read(lambda db: _count(db, where))

    async def update(self, conversation_id: UUID, changes: Changes) -> Conversation | None:
        key = str(conversation_id)

        def change(db: Connection) -> Conversation | None:
            found = _find(db, key)
            if found is None:
                return None
            # Later than the last change, also when the clock was set back.
            at = max(datetime.now(UTC), found.updated_at + timedelta(microseconds=1))
            db.execute(
                "UPDATE conversations SET label = coalesce(?, label), label_lower = coalesce(?, label_lower), "
                "folder = coalesce(?, folder), status = coalesce(?, status), "
                "importance_score = coalesce(?, importance_score), updated_at = ? WHERE id = ?",
                [
                    changes.label,
                    changes.label.lower() if changes.label is not None else None,
                    changes.folder,
                    changes.status,
                    changes.importance_score,
                    moment(at),
                    key,
                ],
            )
            return _require(db, key)

        return await self._threads.write(change)

    async def delete(self, conversation_id: UUID) -> bool:
        key = str(conversation_id)

        def remove(db: Connection) -> bool:
            db.execute(
                "INSERT INTO vector_outbox (message_id, action, created_at) "
                "SELECT id, 'delete', ? FROM messages WHERE conversation_id = ?",
                [now(), key],
            )
            return db.execute("DELETE FROM conversations WHERE id = ?", [key]).rowcount > 0

        return await self._threads.write(remove)

    async def rebuild(self) -> int:
        waiting = "SELECT count(*) FROM vector_outbox WHERE action = 'reembed'"

        def queue(db: Connection) -> int:
            found = int(db.execute(waiting).fetchone()[0])
            if found:
                return found
            return db.execute(
                "INSERT INTO vector_outbox (message_id, action, created_at) "
                f"SELECT id, 'reembed', ? FROM messages WHERE {NOT_BLANK} ORDER BY conversation_id, seq",
                [now()],
            ).rowcount

        return await self._threads.write(queue)

    async def totals(self) -> Totals:
        def read(db: Connection) -> Totals:
            by_status = db.execute("SELECT status, conversations, messages FROM counters").fetchall()
            waiting, oldest = db.execute("SELECT count(*), min(created_at) FROM vector_outbox").fetchone()
            age = (datetime.now(UTC) - instant(oldest)).total_seconds() if oldest else 0.0
            return Totals(
                database_bytes=_size(self._threads.path),
                messages=sum(row[2] for row in by_status),
                conversations_by_status={row[0]: row[1] for row in by_status if row[1]},
                outbox=waiting,
                outbox_age_seconds=max(0.0, age),
            )

        return await self._threads.read(read)


def _find(db: Connection, key: str) -> Conversation | None:
    row = db.execute(_BY_ID, [key]).fetchone()
    return conversation(row) if row else None


def _require(db: Connection, key: str) -> Conversation:
    found = _find(db, key)
    if found is None:
        raise UnavailableError("The database lost a row that was just written, try again")
    return found


def _count(db: Connection, where: ListFilter) -> int:
    if where == ListFilter(archived=where.archived):
        kept = "" if where.archived is None else f"WHERE status {'=' if where.archived else '<>'} 'archived'"
        return int(db.execute(f"SELECT sum(conversations) FROM counters {kept}").fetchone()[0])
    condition, values = list_condition(where)
    return int(db.execute(f"SELECT count(*) FROM conversations c WHERE {condition}", values).fetchone()[0])


def _size(path: Path) -> int:
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
