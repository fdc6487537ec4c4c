"""SQLite: single messages, stored summaries, known labels; see memories.py."""

# ruff: noqa: S608 - conditions are fixed texts, values are placeholders

from collections.abc import Sequence
from datetime import datetime
from sqlite3 import Connection
from uuid import UUID

import orjson

from ..model import Hit, Message, MessageFilter
from .memories import Summary
from .sqlite_rows import HIT, MESSAGE, hit, instant, message, message_condition, moment
from .sqlite_threads import Threads


class SqliteMemories:
    """The Memories part of the Store protocol."""

    _threads: Threads

    async def message(self, message_id: UUID) -> Message | None:
        sql = f"SELECT {MESSAGE} FROM messages m WHERE m.id = ?"
        row = await self._threads.read(lambda db: db.execute(sql, [str(message_id)]).fetchone())
        return message(row) if row else None

    async def messages_since(self, conversation_id: UUID, since: datetime) -> list[Message] | None:
        key = str(conversation_id)
        sql = f'SELECT {MESSAGE} FROM messages m WHERE m.conversation_id = ? AND m."timestamp" >= ? ORDER BY m.seq'

        def read(db: Connection) -> list[Message] | None:
            if not db.execute("SELECT 1 FROM conversations WHERE id = ?", [key]).fetchone():
                return None
            return [message(row) for row in db.execute(sql, [key, moment(since)])]

        return await self._threads.read(read)

    async def summaries(self, conversation_id: UUID, level: str, since: datetime) -> list[Summary]:
        sql = (
            "SELECT id, conversation_id, level, summary_text, generated_at, model_used, token_count "
            "FROM hierarchical_summaries WHERE conversation_id = ? AND level = ? AND generated_at >= ? "
            "ORDER BY generated_at, id"
        )
        values = [str(conversation_id), level, moment(since)]
        rows = await self._threads.read(lambda db: db.execute(sql, values).fetchall())
        return [Summary(UUID(a), UUID(b), lv, text, instant(at), *rest) for a, b, lv, text, at, *rest in rows]

    async def add_summary(self, summary: Summary) -> None:
        sql = (
            "INSERT INTO hierarchical_summaries "
            "(id, conversation_id, level, summary_text, generated_at, model_used, token_count) "
            "SELECT ?, c.id, ?, ?, ?, ?, ? FROM conversations c WHERE c.id = ?"
        )
        values = [
            str(summary.id),
            summary.level,
            summary.text,
            moment(summary.generated_at),
            summary.model,
            summary.tokens,
            str(summary.conversation_id),
        ]
        await self._threads.write(lambda db: db.execute(sql, values).rowcount)

    async def known_labels(self, limit: int) -> list[str]:
        sql = "SELECT label FROM conversations GROUP BY label ORDER BY count(*) DESC, label LIMIT ?"
        return [row[0] for row in await self._threads.read(lambda db: db.execute(sql, [limit]).fetchall())]

    async def vectors_of(self, ids: Sequence[UUID], model: str) -> dict[UUID, bytes]:
        sql = (
            "SELECT message_id, vector FROM embeddings "
            "WHERE message_id IN (SELECT value FROM json_each(?)) AND model = ?"
        )
        values = [orjson.dumps([str(i) for i in ids]).decode(), model]
        rows = await self._threads.read(lambda db: db.execute(sql, values).fetchall())
        return {UUID(i): vector for i, vector in rows}

    async def newest_of(self, where: MessageFilter, since: datetime | None, limit: int) -> Sequence[Hit]:
        condition, values = message_condition(where)
        # CROSS JOIN: conversations first; the planner would rather walk all messages by their time.
        sql = (
            f"SELECT {HIT} FROM conversations c CROSS JOIN messages m ON m.conversation_id = c.id "
            f'WHERE {condition} AND m."timestamp" >= ? ORDER BY m."timestamp" DESC, m.id LIMIT ?'
        )
        given = [*values, moment(since) if since else "", limit]
        return [hit(row, 0.0) for row in await self._threads.read(lambda db: db.execute(sql, given).fetchall())]
