"""PostgreSQL: conversations as the JSON of an answer, written by the database.

Making objects of rows and JSON of objects took a worker four times as long as having the text made where the rows are.
The keys are those of http/wire.py, in its order; tests/service/test_json.py compares the two.
"""

from typing import Any
from uuid import UUID

from ..model import NIL_UUID, PINNED_SCORE, ListFilter
from .postgres_pool import Pool
from .postgres_rows import counting, list_condition


def _moment(column: str) -> str:
    return f"to_char({column}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"  # sessions run in UTC


_SHOW = f"""
SELECT left(row_to_json(c)::text, -1) || ',"messages":[' || coalesce((
    SELECT string_agg(row_to_json(m)::text, ',') FROM (
        SELECT id, conversation_id, role, content, {_moment('"timestamp"')} AS "timestamp", embedding_id, metadata
        FROM messages WHERE conversation_id = c.id ORDER BY seq
    ) m), '') || ']}}'
FROM (
    SELECT id, id AS conversation_id, label, folder, status, importance_score, message_count, word_count,
        session_count, status = 'archived' AS archived, importance_score >= {PINNED_SCORE:g} AS pinned, metadata,
        {_moment("created_at")} AS created_at, {_moment("updated_at")} AS updated_at
    FROM conversations WHERE id = %s
) c
"""  # noqa: S608 - fixed text
# What appears twice in a row is made once: OFFSET 0 keeps the planner from putting it in twice.
_ROW = f"""
concat('{{"id":"', i, '","conversation_id":"', i, '","message_id":"{NIL_UUID}","score":1.0,"similarity":1.0,"content":',
    l, ',"metadata":{{', f, '}},"label":', l, ',', f, ',"timestamp":"', u, '","created_at":"', c, '","updated_at":"', u,
    '"}}')
"""
_PARTS = f"""
SELECT id::text AS i, to_json(label)::text AS l, {_moment("updated_at")} AS u, {_moment("created_at")} AS c,
    concat('"folder":', to_json(folder), ',"status":', to_json(status), ',"importance_score":', importance_score,
        ',"message_count":', message_count) AS f
"""


class PostgresJson:
    """The JSON of the Store protocol; methods as documented there."""

    _pool: Pool

    async def show_json(self, conversation_id: UUID) -> bytes | None:
        rows = await self._pool.fetch(_SHOW, [conversation_id])
        return rows[0][0].encode() if rows else None

    async def page_json(self, where: ListFilter, limit: int, offset: int) -> tuple[bytes, int]:
        condition, values = list_condition(where)
        count, count_values = counting(where)
        rows: list[tuple[Any, ...]] = await self._pool.fetch(
            f"SELECT (SELECT string_agg({_ROW}, ',') FROM ({_PARTS} FROM ("  # noqa: S608 - fixed texts
            f"SELECT * FROM conversations WHERE {condition} ORDER BY updated_at DESC, id LIMIT %s OFFSET %s"
            f") page OFFSET 0) parts), ({count})",
            [*values, limit, offset, *count_values],
        )
        listed, total = rows[0]
        return (listed or "").encode(), int(total)
