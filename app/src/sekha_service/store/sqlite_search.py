"""SQLite: searching messages, by words (FTS5) and by filters."""

# ruff: noqa: S608 - conditions are fixed texts, values are placeholders

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any
from uuid import UUID

import orjson

from ..model import Hit, MessageFilter
from .fulltext import Alternative, Term, all_of, any_of, parse
from .sqlite_rows import HIT, JOINED, hit, message_condition
from .sqlite_threads import Threads

# Ranking reads every match: on common words only the newest this many matches are ranked.
MAX_RANKED = 5000


class SqliteSearch:
    """The searching half of the Store protocol; methods as documented there."""

    _threads: Threads

    async def recent(self, where: MessageFilter, limit: int, offset: int) -> Sequence[Hit]:
        condition, values = message_condition(where)
        sql = f'SELECT {HIT} {JOINED} WHERE {condition} ORDER BY m."timestamp" DESC, m.id LIMIT ? OFFSET ?'
        return [hit(row, 0.0) for row in await self._rows(sql, [*values, limit, offset])]

    async def lexical(self, query: str, where: MessageFilter, limit: int, offset: int) -> Sequence[Hit]:
        return await self._ranked(match_expression(any_of(query)), where, limit, offset)

    async def with_all_words(self, query: str, where: MessageFilter, limit: int) -> Sequence[Hit]:
        return await self._ranked(match_expression(all_of(query)), where, limit, 0)

    async def full_text(self, query: str, limit: int) -> Sequence[Hit]:
        return await self._ranked(match_expression(parse(query)), MessageFilter(), limit, 0)

    async def _ranked(self, match: str, where: MessageFilter, limit: int, offset: int) -> Sequence[Hit]:
        if not match:
            return []
        condition, values = message_condition(where)
        found = (
            "SELECT m.n, bm25(messages_fts) AS rank FROM messages_fts "
            "JOIN messages m ON m.n = messages_fts.rowid JOIN conversations c ON c.id = m.conversation_id "
            f"WHERE messages_fts MATCH ? AND {condition} ORDER BY messages_fts.rowid DESC LIMIT ?"
        )
        if where.empty:
            found = (
                "SELECT rowid AS n, bm25(messages_fts) AS rank FROM messages_fts WHERE messages_fts MATCH ? "
                "ORDER BY rowid DESC LIMIT ?"
            )
        sql = (
            f"WITH found AS MATERIALIZED ({found}) SELECT {HIT}, f.rank FROM found f JOIN messages m ON m.n = f.n "
            "JOIN conversations c ON c.id = m.conversation_id "
            'ORDER BY f.rank, m."timestamp" DESC, m.id LIMIT ? OFFSET ?'
        )
        rows = await self._rows(sql, [match, *values, MAX_RANKED, limit, offset])
        # bm25 is negative, the lower the better: as a score between 0 and 1, higher is better.
        return [hit(row, -row[-1] / (1 - row[-1])) for row in rows]

    async def hits(self, scores: dict[UUID, float], where: MessageFilter) -> list[Hit]:
        condition, values = message_condition(where)
        sql = f"SELECT {HIT} {JOINED} WHERE m.id IN (SELECT value FROM json_each(?)) AND {condition}"
        rows = await self._rows(sql, [orjson.dumps([str(i) for i in scores]).decode(), *values])
        found = [hit(row, 0.0) for row in rows]
        return [Hit(h.message, h.label, h.folder, h.status, h.importance_score, scores[h.message.id]) for h in found]

    async def vectors(self, where: MessageFilter, model: str, most: int) -> list[tuple[UUID, bytes]] | None:
        condition, values = message_condition(where)
        sql = (
            f"SELECT m.id, e.vector {JOINED} JOIN embeddings e ON e.message_id = m.id "
            f"WHERE e.model = ? AND {condition} LIMIT ?"
        )
        rows = await self._rows(sql, [model, *values, most + 1])
        return None if len(rows) > most else [(UUID(row[0]), row[1]) for row in rows]

    async def _rows(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        def read(db: Connection) -> list[tuple[Any, ...]]:
            return db.execute(sql, values).fetchall()

        return await self._threads.read(read)


def match_expression(alternatives: Sequence[Alternative]) -> str:
    """The alternatives as an FTS5 expression; empty when there are none. Quoted, so that nothing is a syntax error."""
    return " OR ".join(f"({_alternative(each)})" for each in alternatives)


def _alternative(it: Alternative) -> str:
    wanted = " AND ".join(_term(term) for term in it.wanted)
    unwanted = " OR ".join(_term(term) for term in it.unwanted)
    return f"({wanted}) NOT ({unwanted})" if unwanted else wanted


def _term(term: Term) -> str:
    text = " ".join(term.words).replace('"', '""')
    return f'"{text}"{" *" if term.prefix else ""}'
