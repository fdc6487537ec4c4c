"""Moving everything from SQLite to PostgreSQL: in batches, resumable, and checked row by row at the end.

Each batch is committed together with a note of how far it got (table `transfer_state`), so that a move that was
interrupted continues where it stopped. The source is read in one consistent view and never changed.
"""

# ruff: noqa: S608 - names of tables and columns are fixed

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from . import migrate, sqlite_migrate
from .sqlite_file import connect, is_sqlite, path_of
from .transfer_tables import TABLES, Row, Sum, Table

BATCH = 1000
LOCK_ID = 0x53454B48_4104  # "SEKHA", transfer
Say = Callable[[str], object]
Server = psycopg.Connection[Row]
_SHOWN = 5


class TransferError(Exception):
    """The move can't be made or didn't end well; `refused`: nothing was touched."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


def transfer(source: str, target: str, say: Say, batch: int = BATCH) -> None:
    """Copy everything from `source` (sqlite://PATH) to `target` (postgresql://...), verify it, queue it for the index.

    `say` gets lines of progress. Raises TransferError; psycopg.Error, sqlite3.Error, OSError when a database fails.
    """
    if not is_sqlite(source) or not target.startswith(("postgresql://", "postgres://")):
        raise TransferError("--from must be sqlite:///PATH and --to postgresql://USER@HOST/DATABASE", refused=True)
    path = path_of(source)
    if not path.is_file():
        raise TransferError(f"there is no file {path}", refused=True)
    sqlite_migrate.migrate(path)
    migrate.migrate(target, wait_seconds=5)
    file = connect(path, read_only=True)
    try:
        with psycopg.connect(target, autocommit=True, connect_timeout=5, application_name="sekha-transfer") as server:
            file.execute("BEGIN")  # one view of the source from here to the end
            _claim(server, str(file.execute("SELECT id FROM instance").fetchone()[0]), say)
            for table in TABLES:
                _copy(file, server, table, batch, say)
            _finish(file, server, say)
    finally:
        file.close()


def _claim(server: Server, instance: str, say: Say) -> None:
    """Make sure that the target is empty, or holds this source's own interrupted move."""
    if server.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_ID]).fetchone() != (True,):
        raise TransferError("another move into this database is running", refused=True)
    if server.execute("SELECT to_regclass('transfer_state')").fetchone() != (None,):
        owner = server.execute("SELECT DISTINCT instance FROM transfer_state").fetchall()
        if owner != [(instance,)]:
            raise TransferError("the target holds an interrupted move from another SQLite database", refused=True)
        say("continuing the move that was interrupted")
        return
    for table in TABLES:
        if server.execute(f"SELECT 1 FROM {table.name} LIMIT 1".encode()).fetchone():
            raise TransferError(
                f"the target is not empty: its table {table.name} has rows. Create a new database for the move",
                refused=True,
            )
    with server.transaction():
        server.execute(
            "CREATE TABLE transfer_state "
            "(table_name text PRIMARY KEY, instance text NOT NULL, rows bigint NOT NULL DEFAULT 0, last jsonb)"
        )
        for table in TABLES:
            server.execute("INSERT INTO transfer_state (table_name, instance) VALUES (%s, %s)", [table.name, instance])


def _copy(file: sqlite3.Connection, server: Server, table: Table, batch: int, say: Say) -> None:
    total = file.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
    noted = server.execute("SELECT rows, last FROM transfer_state WHERE table_name = %s", [table.name]).fetchone()
    assert noted is not None  # noqa: S101 - _claim() made it
    rows, last = int(noted[0]), noted[1]
    while True:
        piece = _read(file, table, last, batch)
        if not piece:
            break
        last = piece[-1][-1]
        with server.transaction(), server.cursor() as cursor:
            with cursor.copy(f"COPY {table.name} ({table.listed}) FROM STDIN".encode()) as out:
                for row in piece:
                    out.write_row(table.to_postgres(row[:-1]))
            rows += len(piece)
            cursor.execute(
                "UPDATE transfer_state SET rows = %s, last = to_jsonb(%s::text) WHERE table_name = %s",
                [rows, str(last), table.name],
            )
        say(f"{table.name}: {rows:,} of {total:,}")


def _read(file: sqlite3.Connection, table: Table, last: Any, batch: int) -> list[Row]:
    """The next rows of a table, each with its `order` column at the end."""
    after, values = (
        ("", []) if last is None else (f"WHERE {table.order} > ?", [int(last) if table.order == "n" else last])
    )
    sql = f"SELECT {table.listed}, {table.order} FROM {table.name} {after} ORDER BY {table.order} LIMIT ?"
    return file.execute(sql, [*values, batch]).fetchall()


def _finish(file: sqlite3.Connection, server: Server, say: Say) -> None:
    """Compare both sides, then queue every message for the vector index: all in one transaction."""
    with server.transaction():
        server.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for table in TABLES:
            ours, theirs = Sum(), Sum()
            ours.add(map(table.digest, _source_rows(file, table)))
            theirs.add(map(table.digest, _target_rows(server, table)))
            if ours.rows != theirs.rows or ours.checksum != theirs.checksum:
                raise TransferError(_difference(file, server, table, ours, theirs))
            say(f"{table.name}: verified, {ours}")
        queued = server.execute(
            "INSERT INTO vector_outbox (message_id, action) SELECT id, 'upsert' FROM messages "
            r"WHERE content ~ '\S' ORDER BY conversation_id, seq"
        ).rowcount
        server.execute("DROP TABLE transfer_state")
    say(f"done: {queued:,} messages queued for the vector index")


def _source_rows(file: sqlite3.Connection, table: Table) -> Iterator[Row]:
    yield from file.execute(f"SELECT {table.listed} FROM {table.name}")


def _target_rows(server: Server, table: Table) -> Iterator[Row]:
    with server.cursor(name="rows") as cursor:
        cursor.itersize = 2000
        yield from cursor.execute(f"SELECT {table.listed} FROM {table.name}".encode())


def _difference(file: sqlite3.Connection, server: Server, table: Table, ours: Sum, theirs: Sum) -> str:
    """Which rows differ, in words."""
    source = {str(row[0]): table.digest(row) for row in _source_rows(file, table)}
    target = {str(row[0]): table.digest(row) for row in _target_rows(server, table)}
    differing = sorted(key for key in source.keys() | target.keys() if source.get(key) != target.get(key))
    shown = ", ".join(differing[:_SHOWN]) + (
        f" and {len(differing) - _SHOWN:,} more" if len(differing) > _SHOWN else ""
    )
    return (
        f"{table.name} differs: {ours} in SQLite, {theirs} in PostgreSQL; rows {shown}. One side changed during "
        "the move: stop every service on both databases, create a new target and move again"
    )
