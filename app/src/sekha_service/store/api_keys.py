"""API keys in the database: the table as `sekha-controller keys` works on it, from outside the service."""

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from .sqlite_file import connect, is_sqlite, path_of
from .sqlite_rows import instant, moment

Run = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class StoredKey:
    """What is known about a key; times in UTC. `last_used_at` is up to a few minutes behind."""

    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def state(self, at: datetime) -> str:
        """active, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= at else "active"


class KeyNameError(Exception):
    """A name is taken or unknown."""


class ApiKeys:
    """The keys of one database. All methods raise psycopg.Error or sqlite3.Error when it can't be used."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def make(self, name: str, expires_at: datetime | None) -> str:
        """A new key, returned this once. Raises KeyNameError when `name` is taken."""
        key = "sk-sekha-" + secrets.token_urlsafe(32)
        rows = self._run(
            "INSERT INTO api_keys (name, digest, created_at, expires_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (name) DO NOTHING RETURNING name",
            [name, hashlib.sha256(key.encode()).digest(), datetime.now(UTC), expires_at],
        )
        if not rows:
            raise KeyNameError(f"there is a key named {name!r} already: choose another name")
        return key

    def all(self) -> list[StoredKey]:
        """Every key, the oldest first."""
        rows = self._run(
            "SELECT name, created_at, expires_at, revoked_at, last_used_at FROM api_keys ORDER BY created_at, name", []
        )
        return [StoredKey(*row) for row in rows]

    def expire(self, name: str, at: datetime) -> None:
        """Let a key end at `at`. Raises KeyNameError when there is none of that name, or it is revoked."""
        self._change("expires_at", name, at)

    def revoke(self, name: str) -> None:
        """End a key now, for good. Raises KeyNameError when there is none of that name, or it is revoked."""
        self._change("revoked_at", name, datetime.now(UTC))

    def _change(self, column: str, name: str, at: datetime) -> None:
        sql = f"UPDATE api_keys SET {column} = ? WHERE name = ? AND revoked_at IS NULL RETURNING name"  # noqa: S608
        if not self._run(sql, [at, name]):
            raise KeyNameError(f"there is no key named {name!r} that is not revoked: see `keys list`")


@contextlib.contextmanager
def open_keys(url: str) -> Iterator[ApiKeys]:
    """The keys of the database at `url`, whose schema is up to date. Raises psycopg.Error, sqlite3.Error."""
    if is_sqlite(url):
        file = connect(path_of(url))

        def run_sqlite(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
            rows = file.execute(sql, [moment(v) if isinstance(v, datetime) else v for v in values]).fetchall()
            return [(row[0], *(instant(text) if text else None for text in row[1:])) for row in rows]

        try:
            yield ApiKeys(run_sqlite)
        finally:
            file.close()
        return
    with psycopg.connect(url, connect_timeout=5, autocommit=True, application_name="sekha-keys") as server:

        def run_postgres(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
            return server.execute(sql.replace("?", "%s").encode(), values).fetchall()

        yield ApiKeys(run_postgres)
