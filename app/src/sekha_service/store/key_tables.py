"""API keys in the database, as the service reads them: one small query every few seconds."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from .postgres_pool import Pool
from .sqlite_rows import instant, moment
from .sqlite_threads import Threads

# last_used_at is written at most this often for each key.
COARSE = timedelta(minutes=1)
ActiveKey = tuple[bytes, datetime | None]


class KeyTable(Protocol):
    """Methods raise errors.UnavailableError when the database doesn't answer."""

    async def active(self) -> list[ActiveKey]:
        """Digest and end of every key that is not revoked."""

    async def note_use(self, digests: Iterable[bytes]) -> None:
        """These were used a moment ago."""


class PostgresKeyTable:
    """KeyTable on PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def active(self) -> list[ActiveKey]:
        rows = await self._pool.fetch("SELECT digest, expires_at FROM api_keys WHERE revoked_at IS NULL")
        return [(row[0], row[1]) for row in rows]

    async def note_use(self, digests: Iterable[bytes]) -> None:
        await self._pool.fetch(
            "UPDATE api_keys SET last_used_at = now() "
            "WHERE digest = ANY(%s) AND coalesce(last_used_at, '-infinity') < now() - %s::interval RETURNING 1",
            [list(digests), COARSE],
        )


class SqliteKeyTable:
    """KeyTable on SQLite."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def active(self) -> list[ActiveKey]:
        sql = "SELECT digest, expires_at FROM api_keys WHERE revoked_at IS NULL"
        rows = await self._threads.read(lambda db: db.execute(sql).fetchall())
        return [(row[0], instant(row[1]) if row[1] else None) for row in rows]

    async def note_use(self, digests: Iterable[bytes]) -> None:
        at = datetime.now(UTC)
        rows = [(moment(at), digest, moment(at - COARSE)) for digest in digests]
        sql = "UPDATE api_keys SET last_used_at = ? WHERE digest = ? AND coalesce(last_used_at, '') < ?"

        await self._threads.write(lambda db: db.executemany(sql, rows).rowcount)
