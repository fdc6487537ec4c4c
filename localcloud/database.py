"""The state file: one SQLite database, one lock, transactions, and what was read from it kept parsed.

Everything is written before it is answered (WAL, synchronous=FULL). One lock and one connection: a transaction is
the unit in which the state is checked and changed, so names stay unique and nothing is half made.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localcloud.row_cache import RowCache

Data = dict[str, Any]  # one object as JSON; always with "id", "name" and "created"

SCHEMA = """
CREATE TABLE IF NOT EXISTS sequence (value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS projects (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, project INTEGER NOT NULL, read_only INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
  id INTEGER PRIMARY KEY, project INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT, data TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS object_names ON objects (project, kind, name);
CREATE TABLE IF NOT EXISTS actions (
  id INTEGER PRIMARY KEY, project INTEGER NOT NULL, status TEXT NOT NULL, data TEXT NOT NULL, job TEXT,
  hidden INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS running_actions ON actions (status) WHERE status = 'running';
CREATE TABLE IF NOT EXISTS unavailable (
  server_type TEXT NOT NULL, location TEXT NOT NULL, PRIMARY KEY (server_type, location));
CREATE TABLE IF NOT EXISTS faults (id INTEGER PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS action_resources (
  type TEXT NOT NULL, resource INTEGER NOT NULL, action INTEGER NOT NULL,
  PRIMARY KEY (type, resource, action)) WITHOUT ROWID;
"""


def now() -> str:
    """The time as the API writes it: ISO 8601 with offset, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


class Database:
    """State in the file `path` (created with mode 0600). Safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.RLock()
        self._depth = 0
        self._checked = False  # the cache was, since the lock is held
        self._added_jobs = False
        self._cache = RowCache(self._rows)
        self.on_jobs: Callable[[], None] | None = None  # called after a commit that added work
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)
        self._peek_lock = threading.Lock()
        self._peek_db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        if self._db.execute("SELECT count(*) FROM sequence").fetchone()[0] == 0:
            self._db.execute("INSERT INTO sequence VALUES (0)")

    def close(self) -> None:
        """Close the file; the store can't be used any more."""
        with self._lock:
            self._db.close()
            self._peek_db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens at once and durably, or (on an exception) not at all. May be nested."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
                self._cache.check()
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._db.execute("COMMIT")
            except BaseException:
                if self._depth == 1:
                    self._added_jobs = False
                    self._cache.forget()
                    if self._db.in_transaction:  # a full disk may have ended it
                        self._db.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1
            if self._depth > 0:
                return
            added, self._added_jobs = self._added_jobs, False
        if added and self.on_jobs:
            self.on_jobs()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is read inside is of one moment. May be nested, also with transactions."""
        with self._lock:
            if self._depth == 0 and not self._checked:
                self._cache.check()
                self._checked = True
                try:
                    yield
                finally:
                    self._checked = False
            else:
                yield

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _peek(self, sql: str, *values: Any) -> list[Any]:
        """What is committed, without waiting for who writes."""
        with self._peek_lock:
            return self._peek_db.execute(sql, values).fetchall()

    def next_id(self) -> int:
        """The next id: one sequence for all kinds, so that ids of different kinds never collide."""
        with self.transaction():
            self._db.execute("UPDATE sequence SET value = value + 1")
            return int(self._rows("SELECT value FROM sequence")[0][0])
