"""SQLite off the event loop: transactions, failures, locks, limits."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sekha_service.errors import UnavailableError
from sekha_service.store import sqlite_file, sqlite_migrate, sqlite_threads
from sekha_service.store.sqlite_outbox import SqliteOutbox
from sekha_service.store.sqlite_threads import Threads


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "x.db"
    sqlite_file.prepare(file)
    db = sqlite_file.connect(file)
    db.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
    db.close()
    return file


def _run(path: Path, scenario: Callable[[Threads], Awaitable[None]]) -> None:
    async def session() -> None:
        threads = Threads(path, 2)
        threads.open()
        try:
            await scenario(threads)
        finally:
            await threads.close()

    asyncio.run(session())


def _insert(*values: int) -> Callable[[sqlite3.Connection], Any]:
    def work(db: sqlite3.Connection) -> None:
        for value in values:
            db.execute("INSERT INTO t VALUES (?)", [value])

    return work


def _ask(sql: str) -> Callable[[sqlite3.Connection], Any]:
    return lambda db: db.execute(sql).fetchone()


def _rows(path: Path) -> list[int]:
    db = sqlite_file.connect(path)
    rows = [row[0] for row in db.execute("SELECT x FROM t ORDER BY x")]
    db.close()
    return rows


def test_pragmas(path: Path) -> None:
    async def scenario(threads: Threads) -> None:
        for name, value in (
            ("journal_mode", "wal"), ("synchronous", 1), ("cache_size", -64000), ("temp_store", 2),
            ("foreign_keys", 1), ("busy_timeout", 5000),
        ):  # fmt: skip
            assert await threads.read(_ask(f"PRAGMA {name}")) == (value,)
        assert await threads.read(lambda db: db.execute("PRAGMA mmap_size").fetchone()[0]) > 1_000_000_000

    _run(path, scenario)


def test_a_failing_write_is_undone_alone(path: Path) -> None:
    async def scenario(threads: Threads) -> None:
        results = await asyncio.gather(
            *(threads.write(work) for work in (_insert(1), _insert(2, 1), _insert(3))), return_exceptions=True
        )
        assert [type(result) for result in results] == [type(None), sqlite3.IntegrityError, type(None)]

    _run(path, scenario)
    assert _rows(path) == [1, 3]


def test_readers_cannot_write(path: Path) -> None:
    async def scenario(threads: Threads) -> None:
        with pytest.raises(UnavailableError):
            await threads.read(_insert(1))

    _run(path, scenario)


def test_full_disk_is_503_and_recovers(path: Path) -> None:
    async def scenario(threads: Threads) -> None:
        await threads.write(lambda db: db.execute("PRAGMA max_page_count = 1").fetchall())
        with pytest.raises(UnavailableError, match="full"):
            await threads.write(_insert(*range(100_000)))
        await threads.write(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall())
        await threads.write(_insert(7))

    _run(path, scenario)
    assert _rows(path) == [7]


def test_a_lock_held_too_long_is_503(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(sqlite_threads, "_LOCK_SECONDS", 0.2)
    other = sqlite_file.connect(path)

    async def scenario(threads: Threads) -> None:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="took too long"):
            await threads.write(_insert(1))
        other.execute("COMMIT")
        await threads.write(_insert(2))

    _run(path, scenario)
    other.close()
    assert _rows(path) == [2]


def test_a_read_that_takes_too_long_is_503(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_threads, "_READ_SECONDS", 0.05)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

    async def scenario(threads: Threads) -> None:
        with pytest.raises(UnavailableError, match="took too long"):
            await threads.read(_ask(endless))
        assert await threads.read(_ask("SELECT 1")) == (1,)

    _run(path, scenario)


def test_one_feeder_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    sqlite_migrate.migrate(file)

    async def scenario() -> None:
        first, second = SqliteOutbox(file), SqliteOutbox(file)
        assert (await first.acquire(), await second.acquire(), await first.acquire()) == (True, False, True)
        await first.close()
        assert await second.acquire()
        await second.close()

    asyncio.run(scenario())
