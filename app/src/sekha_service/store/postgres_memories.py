"""PostgreSQL: single messages, stored summaries, known labels; see memories.py."""

# ruff: noqa: S608 - conditions are fixed texts, values are placeholders

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ..model import Message
from .memories import Summary
from .postgres_pool import Pool
from .postgres_rows import MESSAGE


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
