"""PostgreSQL: single messages, stored summaries, known labels; see memories.py."""

# ruff: noqa: S608 - conditions are fixed texts, values are placeholders

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ..model import Hit, Message, MessageFilter
from .memories import Summary
from .postgres_pool import Pool
from .postgres_rows import MESSAGE
from .postgres_search import message_condition

_HIT = (
    'm.id, m.conversation_id, m.role, m.content, m."timestamp", m.embedding_id, m.metadata, '
    "c.label, c.folder, c.status, c.importance_score"
)


class PostgresMemories:
    """The Memories part of the Store protocol."""

    _pool: Pool

    async def message(self, message_id: UUID) -> Message | None:
        rows = await self._pool.fetch(f"SELECT {MESSAGE} FROM messages WHERE id = %s", [message_id])
        return Message(*rows[0]) if rows else None

    async def messages_since(self, conversation_id: UUID, since: datetime) -> list[Message] | None:
        if not await self._pool.fetch("SELECT 1 FROM conversations WHERE id = %s", [conversation_id]):
            return None
        rows = await self._pool.fetch(
            f'SELECT {MESSAGE} FROM messages WHERE conversation_id = %s AND "timestamp" >= %s ORDER BY seq',
            [conversation_id, since],
        )
        return [Message(*row) for row in rows]

    async def summaries(self, conversation_id: UUID, level: str, since: datetime) -> list[Summary]:
        rows = await self._pool.fetch(
            "SELECT id, conversation_id, level, summary_text, generated_at, model_used, token_count "
            "FROM hierarchical_summaries WHERE conversation_id = %s AND level = %s AND generated_at >= %s "
            "ORDER BY generated_at, id",
            [conversation_id, level, since],
        )
        return [Summary(*row) for row in rows]

    async def add_summary(self, summary: Summary) -> None:
        # A repeat after a lost connection finds its own id.
        await self._pool.fetch(
            "INSERT INTO hierarchical_summaries "
            "(id, conversation_id, level, summary_text, generated_at, model_used, token_count) "
            "SELECT %s, c.id, %s, %s, %s, %s, %s FROM conversations c WHERE c.id = %s "
            "ON CONFLICT (id) DO NOTHING RETURNING 1",
            [
                summary.id,
                summary.level,
                summary.text,
                summary.generated_at,
                summary.model,
                summary.tokens,
                summary.conversation_id,
            ],
        )

    async def known_labels(self, limit: int) -> list[str]:
        rows = await self._pool.fetch(
            "SELECT label FROM conversations GROUP BY label ORDER BY count(*) DESC, label LIMIT %s", [limit]
        )
        return [row[0] for row in rows]

    async def vectors_of(self, ids: Sequence[UUID], model: str) -> dict[UUID, bytes]:
        rows = await self._pool.fetch(
            "SELECT message_id, vector FROM embeddings WHERE message_id = ANY(%s) AND model = %s", [list(ids), model]
        )
        return {row[0]: bytes(row[1]) for row in rows}

    async def newest_of(self, where: MessageFilter, since: datetime | None, limit: int) -> Sequence[Hit]:
        condition, values = message_condition(where)
        # The conversations first: the planner would rather walk all messages by their time.
        rows = await self._pool.fetch(
            "WITH c AS MATERIALIZED (SELECT c.id, c.label, c.folder, c.status, c.importance_score "
            f"FROM conversations c WHERE {condition}) "
            f"SELECT {_HIT} FROM messages m JOIN c ON c.id = m.conversation_id "
            "WHERE m.\"timestamp\" >= coalesce(%s, '-infinity'::timestamptz) "
            'ORDER BY m."timestamp" DESC, m.id LIMIT %s',
            [*values, since, limit],
        )
        return [Hit(Message(*row[:7]), row[7], row[8], row[9], row[10], 0.0) for row in rows]
