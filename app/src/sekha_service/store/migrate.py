"""Schema migrations: numbered SQL files, each applied once, in order, under a lock.

Migrations expand first and contract a release later: release N-1 runs on the schema of release N. A migration that
takes something away names in its first line the version a release must know to run on it: `-- needs: 7`. Releases that
don't know that version refuse to start on such a schema; on any other newer schema they run.
"""

import logging
import re
import time
from dataclasses import dataclass
from importlib import resources

import psycopg

LOCK_ID = 0x53454B48_4101  # "SEKHA", schema
_log = logging.getLogger("sekha.migrate")


class SchemaError(Exception):
    """The database's schema is one that this release can't run on."""


@dataclass(frozen=True)
class Migration:
    """One numbered file. `needs`: the newest version a release must know to run on the schema it leaves."""

    version: int
    name: str
    sql: str
    needs: int


def migrations(folder: str = "postgres") -> list[Migration]:
    """All migrations of a database, by version."""
    files = (resources.files("sekha_service.store") / "migrations" / folder).iterdir()
    found = [
        Migration(int(file.name.split("_")[0]), file.name, text, int(needs.group(1)) if needs else 0)
        for file in files
        if file.name.endswith(".sql")
        for text in [file.read_text(encoding="utf-8")]
        for needs in [re.match(r"-- needs: (\d+)$", text, re.MULTILINE)]
    ]
    return sorted(found, key=lambda migration: migration.version)


def missing(known: list[Migration], applied: dict[int, int]) -> list[Migration]:
    """The migrations still to apply, by version. `applied`: version -> its `needs`.

    Raises SchemaError when a release that knows the migrations `known` can't run on what was applied.
    """
    newest, current = max((m.version for m in known), default=0), max(applied, default=0)
    needs = max(applied.values(), default=0)
    if needs > newest:
        raise SchemaError(
            f"the database has schema version {current}, which needs a release that knows version {needs}; "
            f"this one knows {newest}: install the newer release, or restore a backup made before it"
        )
    if current > newest:
        _log.warning("the database's schema (version %d) is newer than this release's (%d)", current, newest)
    return [migration for migration in known if migration.version not in applied]


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


def migrate(url: str, wait_seconds: float = 60.0, folder: str = "postgres") -> int:
    """Bring the schema up to date; returns its version. Safe to run from several processes at once.

    Raises psycopg.OperationalError when the database stays away for `wait_seconds`, SchemaError when a newer release
    has changed it too far.
    """
    with connect_patiently(url, wait_seconds) as connection:
        connection.execute("SET lock_timeout = 0")
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_ID,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version "
            "(version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        connection.execute("ALTER TABLE schema_version ADD COLUMN IF NOT EXISTS needs integer NOT NULL DEFAULT 0")
        applied = {
            int(str(row[0])): int(str(row[1]))
            for row in connection.execute("SELECT version, needs FROM schema_version")
        }
        for migration in missing(migrations(folder), applied):
            with connection.transaction():
                connection.execute(migration.sql.encode())
                connection.execute(
                    "INSERT INTO schema_version (version, name, needs) VALUES (%s, %s, %s)",
                    (migration.version, migration.name, migration.needs),
                )
            _log.info("schema migrated to version %d (%s)", migration.version, migration.name)
            applied[migration.version] = migration.needs
        return max(applied, default=0)
