"""Verification of SQLite's backups: a throw-away file from the bucket, looked at with SQLite's own checks."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from sekha_backup import sqlite, stream
from sekha_backup.machine import DATABASE, SQLITE, RefusedError
from sekha_backup.sqlite import TRIAL
from sekha_backup.steps import room
from sekha_backup.verify import Content

ARCHIVED_WITHIN = 60.0  # seconds
TABLES = {"conversations", "messages", "schema_version"}  # without these it is no Sekha
# Not counted: a queue, which grows and shrinks, and what SQLite's full text and litestream keep for themselves.
SKIP = ("sqlite_", "_litestream_", "messages_fts", "vector_outbox")
NEWEST = 'SELECT max((SELECT max(updated_at) FROM conversations), (SELECT max("timestamp") FROM messages))'
SCHEMA = "SELECT name || ': ' || sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1"
COUNTED = "SELECT (SELECT sum(conversations) FROM counters), (SELECT count(*) FROM conversations)"
FULL_TEXT = "INSERT INTO messages_fts (messages_fts, rank) VALUES ('integrity-check', 1)"  # against the messages


def ask(file: Path, sql: str) -> list[tuple[Any, ...]]:
    """A query's rows. Raises RefusedError."""
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=30)) as base, base:
            return base.execute(sql).fetchall()
    except sqlite3.Error as error:
        raise RefusedError(f"{'the live database' if file == DATABASE else 'the restored one'}: {error}") from error


def content(file: Path) -> Content:
    tables = [name for (name,) in ask(file, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    counted = [name for name in tables if not name.startswith(SKIP)]
    rows = {name: int(ask(file, f'SELECT count(*) FROM "{name}"')[0][0]) for name in counted}  # noqa: S608
    if not rows.keys() >= TABLES:
        raise RefusedError(f"{file} lacks the tables {', '.join(sorted(TABLES - rows.keys()))}")
    newest = ask(file, NEWEST)[0][0]
    return Content(rows, datetime.datetime.fromisoformat(f"{newest}+00:00") if newest else None)


def counters(file: Path) -> dict[str, int]:
    """The highest number that was ever given in each table that numbers its rows."""
    return dict(ask(file, "SELECT name, seq FROM sqlite_sequence"))


def bounds(
    marked: dict[str, int], now: dict[str, int], before: dict[str, int], after: dict[str, int]
) -> dict[str, tuple[int, int]]:
    """(least, most) rows of each table that a restored state between two moments may hold: `marked` and `now` are the
    live rows then, `before` and `after` the highest numbers. A table that numbers none has at most as many comings and
    goings as the messages between what it had and has. Pure."""
    changes = {}
    for table in marked:
        inserted = after.get(table, 0) - before.get(table, 0)
        changes[table] = (inserted, marked[table] + inserted - now.get(table, 0))
    found = {}
    for table, rows in marked.items():
        inserted, deleted = changes[table] if table in after else changes.get("messages", (0, 0))
        if table in after:
            found[table] = (rows - deleted, rows + inserted)
        else:
            found[table] = (min(rows, now.get(table, 0)) - deleted, max(rows, now.get(table, 0)) + inserted)
    return found


class Sqlite:
    """A Subject (verify.py)."""

    def __init__(self) -> None:
        self.before: dict[str, int] = {}

    def clean(self) -> None:
        shutil.rmtree(TRIAL, ignore_errors=True)

    def mark(self) -> Content:
        self.before = counters(DATABASE)
        marked = content(DATABASE)
        stream.mark()
        stream.wait(ARCHIVED_WITHIN)
        return marked

    def restore(self) -> dict[str, Any]:
        room(DATABASE.stat().st_size * 1.1, SQLITE)
        found = sqlite.trial(keep=True)
        return {"backup": found["backup"], "bytes": found["bytes"], "replayed_to": found["last_transaction"]}

    def checksums(self) -> int:
        """SQLite's pages have none; the restore has run its integrity check over all of them. The service's own counts
        must be those of the rows."""
        counted = ask(TRIAL / DATABASE.name, COUNTED)[0]
        if len(set(counted)) > 1:
            raise RefusedError(f"the service counted {counted[0]} conversations, and there are {counted[1]}")
        return int(ask(TRIAL / DATABASE.name, "PRAGMA page_count")[0][0])

    def open(self) -> str:
        for path in (TRIAL, TRIAL / DATABASE.name):
            shutil.chown(path, "sekha", "sekha")
        return f"sqlite://{TRIAL / DATABASE.name}"

    def structure(self) -> int:
        expected, found = (set(ask(file, SCHEMA)) for file in (DATABASE, TRIAL / DATABASE.name))
        if expected != found:
            differ = sorted(str(row[0]) for row in expected ^ found)
            raise RefusedError(f"the schema is not the live database's: {'; '.join(differ)[:300]}")
        ask(TRIAL / DATABASE.name, FULL_TEXT)
        return int(ask(TRIAL / DATABASE.name, "SELECT max(version) FROM schema_version")[0][0])

    def content(self) -> Content:
        return content(TRIAL / DATABASE.name)

    def bounds(self, marked: Content) -> dict[str, tuple[int, int]]:
        return bounds(marked.rows, content(DATABASE).rows, self.before, counters(DATABASE))
