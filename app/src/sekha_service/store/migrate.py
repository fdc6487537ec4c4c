"""Schema migrations: numbered SQL files, each applied once, in order, under an advisory lock.

Migrations expand first and contract a release later: a release runs on its own schema and on the next one's.
"""

import logging
import time
from importlib import resources

import psycopg

LOCK_ID = 0x53454B48_4101  # "SEKHA", schema
_log = logging.getLogger("sekha.migrate")


def migrations() -> list[tuple[int, str, str]]:
    """All migrations as (version, name, SQL), by version."""
    folder = resources.files("sekha_service.store") / "migrations" / "postgres"
    found = [
        (int(file.name.split("_")[0]), file.name, file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found)


def connect_patiently(url: str, wait_seconds: float) -> psycopg.Connection[tuple[object, ...]]:
    """A connection to the database, tried for `wait_seconds` (it may be starting). Raises OperationalError."""
    end = time.monotonic() + wait_seconds
    warned = False
    while True:
        try:
            return psycopg.connect(url, connect_timeout=5, autocommit=True, application_name="sekha-migrate")
        except psycopg.OperationalError as error:
            if time.monotonic() >= end:
                raise
            if not warned:
                _log.warning("database not reachable yet, trying for %d s: %s", wait_seconds, str(error).strip())
                warned = True
            time.sleep(0.5)


def migrate(url: str, wait_seconds: float = 60.0) -> int:
    """Bring the schema up to date; returns its version. Safe to run from several processes at once.

    Raises psycopg.OperationalError when the database stays away for `wait_seconds`.
    """
    with connect_patiently(url, wait_seconds) as connection:
        connection.execute("SET lock_timeout = 0")
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_ID,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version "
            "(version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
        current = int(str(row[0])) if row else 0
        for version, name, sql in migrations():
            if version <= current:
                continue
            with connection.transaction():
                connection.execute(sql.encode())
                connection.execute("INSERT INTO schema_version (version, name) VALUES (%s, %s)", (version, name))
            _log.info("schema migrated to version %d (%s)", version, name)
            current = version
        return current
