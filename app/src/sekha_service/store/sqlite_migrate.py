"""SQLite: schema migrations. A write transaction is the lock: one process migrates, the others wait."""

import logging
import sqlite3
from pathlib import Path

from .migrate import migrations, missing
from .sqlite_file import connect, prepare

_log = logging.getLogger("sekha.migrate")


def migrate(path: Path, folder: str = "sqlite") -> int:
    """Make the file if needed and bring its schema up to date; returns its version.

    Raises OSError or sqlite3.Error when the file can't be used, SchemaError when a newer release changed it too far.
    """
    prepare(path)
    connection = connect(path)
    try:
        connection.execute("PRAGMA busy_timeout = 60000")
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _apply(connection, folder)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return version
    finally:
        connection.close()


def _apply(connection: sqlite3.Connection, folder: str) -> int:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
        "needs INTEGER NOT NULL DEFAULT 0, applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    )
    applied: dict[int, int] = dict(connection.execute("SELECT version, needs FROM schema_version").fetchall())
    for migration in missing(migrations(folder), applied):
        for statement in statements(migration.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_version (version, name, needs) VALUES (?, ?, ?)",
            [migration.version, migration.name, migration.needs],
        )
        _log.info("schema migrated to version %d (%s)", migration.version, migration.name)
        applied[migration.version] = migration.needs
    return max(applied, default=0)


def statements(script: str) -> list[str]:
    """The statements of an SQL script (executescript() would commit the transaction)."""
    found: list[str] = []
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found
