"""PostgreSQL: searching messages, by words (tsvector) and by filters."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..model import PINNED_SCORE, Hit, Message, MessageFilter
from .fulltext import Alternative, all_of, any_of, parse
from .postgres_pool import Pool
from .tsquery import expression

# Ranking reads every match: on common words only the newest this many matches are ranked.
MAX_RANKED = 5000

_HIT = (
    'm.id, m.conversation_id, m.role, m.content, m."timestamp", m.embedding_id, m.metadata, '
    "c.label, c.folder, c.status, c.importance_score"
)
EVERYTHING = "true"  # the condition without a filter
_FROM = "FROM messages m JOIN conversations c ON c.id = m.conversation_id"


class PostgresSearch:
    """The searching half of the Store protocol; methods as documented there."""

    def __init__(self, pool: Pool) -> None:
        self.__pool = pool

    async def recent(self, where: MessageFilter, limit: int, offset: int) -> Sequence[Hit]:
        condition, values = message_condition(where)
        rows = await self.__pool.fetch(
            f'SELECT {_HIT} {_FROM} WHERE {condition} ORDER BY m."timestamp" DESC, m.id LIMIT %s OFFSET %s',
            [*values, limit, offset],
        )
        return [_hit(row, 0.0) for row in rows]

    async def lexical(self, query: str, where: MessageFilter, limit: int, offset: int) -> Sequence[Hit]:
        return await self._ranked(any_of(query), where, limit, offset)

    async def with_all_words(self, query: str, where: MessageFilter, limit: int) -> Sequence[Hit]:
        return await self._ranked(all_of(query), where, limit, 0)

    async def full_text(self, query: str, limit: int) -> Sequence[Hit]:
        return await self._ranked(parse(query), MessageFilter(), limit, 0)

    async def _ranked(
        self, alternatives: Sequence[Alternative], where: MessageFilter, limit: int, offset: int
    ) -> Sequence[Hit]:
        tsquery, query_values = expression(alternatives)
        if not tsquery:
            return []
        condition, values = message_condition(where)
        source = "FROM messages m" if condition == EVERYTHING else _FROM
        # The query is written out where it is matched: the planner then knows how common its words are. Rows are read
        # whole only once they are ranked. 32: rank / (rank + 1), so that scores lie between 0 and 1.
        rows = await self.__pool.fetch(
            f'WITH found AS MATERIALIZED (SELECT m.id, m."timestamp", m.search {source} '  # noqa: S608 - fixed texts
            f"WHERE m.search @@ ({tsquery}) AND {condition} "
            'ORDER BY m."timestamp" DESC LIMIT %s), '
            f"best AS (SELECT id, ts_rank_cd(search, ({tsquery}), 32) AS score FROM found "
            'ORDER BY score DESC, "timestamp" DESC, id LIMIT %s OFFSET %s) '
            f"SELECT {_HIT}, best.score {_FROM} JOIN best ON best.id = m.id "
            'ORDER BY best.score DESC, m."timestamp" DESC, m.id',
            [*query_values, *values, MAX_RANKED, *query_values, limit, offset],
        )
        return [_hit(row, float(row[-1])) for row in rows]

    async def hits(self, scores: dict[UUID, float], where: MessageFilter) -> list[Hit]:
        condition, values = message_condition(where)
        rows = await self.__pool.fetch(
            f"SELECT {_HIT} {_FROM} WHERE m.id = ANY(%s) AND {condition}",
            [list(scores), *values],
        )
        return [_hit(row, scores[row[0]]) for row in rows]

    async def vectors(self, where: MessageFilter, model: str, most: int) -> list[tuple[UUID, bytes]] | None:
        condition, values = message_condition(where)
        # Counted first: no vector is sent in vain.
        rows = await self.__pool.fetch(
            f"WITH chosen AS MATERIALIZED (SELECT m.id {_FROM} JOIN embeddings e ON e.message_id = m.id "  # noqa: S608 - fixed texts
            f"WHERE e.model = %s AND {condition} LIMIT %s), counted AS (SELECT count(*) AS n FROM chosen) "
            "SELECT counted.n, e.message_id, e.vector FROM counted LEFT JOIN "
            "(chosen JOIN embeddings e ON e.message_id = chosen.id) ON counted.n <= %s",
            [model, *values, most + 1, most],
        )
        if rows[0][0] > most:
            return None
        return [(row[1], row[2]) for row in rows if row[1] is not None]


def _hit(row: tuple[Any, ...], score: float) -> Hit:
    return Hit(Message(*row[:7]), row[7], row[8], row[9], row[10], score)


def label_condition(column: str, label: str | None) -> tuple[str, list[Any]]:
    """Case-insensitive substring, taken literally. LIKE, so that the index on parts of labels serves."""
    return (f"lower({column}) LIKE lower(%s)", [f"%{_literal(label)}%"]) if label else ("", [])


def _literal(text: str) -> str:
    """A text as LIKE finds it literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def folder_condition(column: str, folder: str | None) -> tuple[str, list[Any]]:
    """`folder` itself or a descendant at a `/` boundary; `/` is everything."""
    if not folder or not folder.rstrip("/"):
        return "", []
    base = folder.rstrip("/")
    return f"({column} = %s OR {column} LIKE %s)", [base, _literal(base) + "/%"]


def message_condition(where: MessageFilter) -> tuple[str, list[Any]]:
    """The SQL condition of a MessageFilter over messages m and conversations c, and its values."""
    parts: list[str] = [EVERYTHING]
    values: list[Any] = []

    def add(condition: str, *more: Any) -> None:
        parts.append(condition)
        values.extend(more)

    condition, more = label_condition("c.label", where.label)
    if condition:
        add(condition, *more)
    if where.labels is not None:
        add("c.label = ANY(%s)", list(where.labels))
    for group in where.folders:
        alternatives = [folder_condition("c.folder", folder) for folder in group]
        if any(not text for text, _ in alternatives):
            continue  # one of them is the root: everything
        add("(" + " OR ".join(text for text, _ in alternatives) + ")", *(v for _, vs in alternatives for v in vs))
    for folder in where.excluded_folders:
        condition, more = folder_condition("c.folder", folder)
        add(f"NOT {condition}" if condition else "false", *more)
    if where.status is not None:
        if where.status == "pinned":
            add("c.importance_score >= %s", PINNED_SCORE)
        else:
            add("c.status = %s", where.status)
    if where.archived is not None:
        add(f"c.status {'=' if where.archived else '<>'} 'archived'")
    if where.pinned is not None:
        add(f"c.importance_score {'>=' if where.pinned else '<'} %s", PINNED_SCORE)
    for comparison, value in (
        ("m.role = %s", where.role),
        ("m.conversation_id = %s", where.conversation_id),
        ("c.importance_score >= %s", where.importance_min),
        ("c.importance_score <= %s", where.importance_max),
        ('m."timestamp" >= %s', where.date_from),
        ('m."timestamp" <= %s', where.date_to),
    ):
        if value is not None:
            add(comparison, value)
    return " AND ".join(parts), values
