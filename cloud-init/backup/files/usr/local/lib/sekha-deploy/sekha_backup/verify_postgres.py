"""Verification of PostgreSQL's backups: a throw-away cluster from the bucket, looked at with PostgreSQL's own tools."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sekha_backup import machine, recovery, repository, restore
from sekha_backup.machine import BINARIES, CLUSTERS, TRIAL, RefusedError
from sekha_backup.repository import as_postgres, postgres_command
from sekha_backup.verify import Content

LIVE, OWN = Path("/var/run/postgresql"), machine.ROOT / "run/sekha-verify"  # folders of the two clusters' sockets
ARCHIVED_WITHIN, STARTED_WITHIN = 60.0, 60.0  # seconds
SPARE = 0.05  # of the volume: what a verification leaves to the database that serves
TABLES = {"conversations", "messages", "schema_version"}  # without these it is no Sekha
NEWEST = 'greatest((SELECT max(updated_at) FROM conversations), (SELECT max("timestamp") FROM messages))'
# Each table's rows, counted; relname comes from the catalog, so that no table is forgotten.
COUNTS = (
    "SELECT json_object_agg(relname, (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM public.%I',"
    " relname), false, true, '')))[1]::text::bigint) FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)
CHANGES = "SELECT json_object_agg(relname, json_build_array(n_tup_ins, n_tup_del)) FROM pg_stat_user_tables"
# Columns, indexes, constraints and triggers, as text: equal text is an equal schema.
SCHEMA = """SELECT json_agg(line ORDER BY line) FROM (
  SELECT format('column %s.%s %s %s', table_name, column_name, data_type, is_nullable) FROM information_schema.columns
    WHERE table_schema = 'public'
  UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
  UNION ALL SELECT format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal) AS lines (line)"""
ARCHIVER = "SELECT json_build_array(current_setting('archive_mode'), current_setting('archive_command'))"
SWITCH = "SELECT pg_walfile_name(pg_switch_wal())"
SCANNED, BAD = (
    re.compile(r"^Blocks scanned: +(\d+)$", re.MULTILINE),
    re.compile(r"^Bad checksums: +(\d+)$", re.MULTILINE),
)


def ask(folder: Path, sql: str) -> Any:
    """The one value that a query gives (JSON where it is), as postgres in database sekha. Raises RefusedError."""
    command = ("psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", str(folder), "-d", "sekha", "-f", "-")
    done = as_postgres(*command, input=sql, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RefusedError(
            f"{'the live database' if folder == LIVE else 'the restored one'}: {done.stderr.strip()[-300:]}"
        )
    text = done.stdout.strip()
    return json.loads(text) if text[:1] in ("{", "[") else text


def content(folder: Path) -> Content:
    newest = ask(folder, f"SELECT to_char({NEWEST} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')")
    return Content(ask(folder, COUNTS), datetime.datetime.fromisoformat(newest) if newest else None)


def bounds(
    marked: dict[str, int], before: dict[str, list[int]], after: dict[str, list[int]]
) -> dict[str, tuple[int, int]]:
    """(least, most) rows of each table: what was there, less what was deleted, plus what was inserted since. `before`,
    `after`: PostgreSQL's counters of inserts and deletes. Raises RefusedError when they were reset. Pure."""
    found = {}
    for table, rows in marked.items():
        inserted, deleted = (late - early for late, early in zip(after[table], before[table], strict=True))
        if inserted < 0 or deleted < 0:
            raise RefusedError("the live database's statistics were reset meanwhile: verify again")
        found[table] = (rows - deleted, rows + inserted)
    return found


def room(need: int, free: int, total: int) -> None:
    """Refuse what would leave the volume less than SPARE. Bytes; `need` is the database with a tenth for its log."""
    if need > free - total * SPARE:
        raise RefusedError(
            f"a throw-away restore needs {need / 1e6:.0f} MB and the volume has {free / 1e6:.0f} MB free, of which "
            f"{total * SPARE / 1e6:.0f} MB stay with the database: raise sekha:conversations, which sizes the volume"
        )


@contextmanager
def guarded(reserve: int) -> Iterator[None]:
    """End what is replayed in TRIAL as soon as less than `reserve` bytes are free: they are the database's that serves.
    Raises RefusedError then."""
    done, short = threading.Event(), threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            if shutil.disk_usage(CLUSTERS).free < reserve:
                short.set()
                recovery.end_leftovers(TRIAL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    except RefusedError as error:
        if short.is_set():
            raise RefusedError(
                "the volume ran short of space during the replay; the rest stays with the database"
            ) from error
        raise
    finally:
        done.set()
        thread.join()


class Postgres:
    """A Subject (verify.py)."""

    def __init__(self) -> None:
        self.before: dict[str, list[int]] = {}
        self.server: subprocess.Popen[bytes] | None = None

    def clean(self) -> None:
        if self.server and self.server.poll() is None:
            self.server.kill()
            self.server.wait()
        recovery.end_leftovers(TRIAL)
        shutil.rmtree(TRIAL, ignore_errors=True)
        shutil.rmtree(OWN, ignore_errors=True)

    def mark(self) -> Content:
        self.before = ask(LIVE, CHANGES)
        marked = content(LIVE)
        if not marked.rows.keys() >= TABLES:
            raise RefusedError(f"the live database lacks the tables {', '.join(sorted(TABLES - marked.rows.keys()))}")
        mode, command = ask(LIVE, ARCHIVER)
        if mode != "on" or "pgbackrest" not in command:
            raise RefusedError(f"nothing is archived: archive_mode is {mode}, archive_command {command[:60]!r}")
        segment = ask(LIVE, SWITCH)
        status, end = machine.MAIN / "pg_wal/archive_status", time.monotonic() + ARCHIVED_WITHIN
        while any(path.stem <= segment for path in status.glob("*.ready")):
            if time.monotonic() > end:
                raise RefusedError(f"WAL {segment} did not reach the archive within {ARCHIVED_WITHIN:.0f} s")
            time.sleep(0.3)
        return marked

    def restore(self) -> dict[str, Any]:
        backups = repository.backups()
        if not backups:
            raise RefusedError("the repository holds no backup")
        disk = shutil.disk_usage(CLUSTERS)
        room(int(max(backup.size for backup in backups) * 1.1), disk.free, disk.total)
        with guarded(int(disk.total * SPARE)):
            found = restore.trial(keep=True)
        return {"backup": found["backup"], "bytes": found["bytes"], "replayed_to": found["last_transaction"]}

    def checksums(self) -> int:
        tool = (str(BINARIES / "pg_checksums"), "--check", "-D", str(TRIAL))
        done = as_postgres(*tool, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        scanned, bad = SCANNED.search(done.stdout), BAD.search(done.stdout)
        if done.returncode != 0 or not scanned or not bad or int(bad.group(1)):
            raise RefusedError(f"pages are damaged: {(done.stderr or done.stdout).strip()[-400:]}")
        return int(scanned.group(1))

    def open(self) -> str:
        OWN.mkdir(mode=0o711)
        OWN.chmod(0o711)
        (OWN / "hba").write_text("local all postgres peer\nlocal sekha sekha peer\n")
        (OWN / "ident").write_text("")
        shared = min(128, int(machine.orders().get("shared_buffers_mb", 128)))
        options = {
            "config_file": "/dev/null", "hba_file": OWN / "hba", "ident_file": OWN / "ident", "listen_addresses": "",
            "unix_socket_directories": OWN, "shared_buffers": f"{shared}MB", "fsync": "off", "archive_mode": "off",
            "autovacuum": "off", "max_connections": 20, "timezone": "UTC", "log_timezone": "UTC",
        }  # fmt: skip
        shutil.chown(OWN, "postgres", "postgres")
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (OWN / "log").open("wb") as log:
            self.server = subprocess.Popen(
                postgres_command("postgres", "-D", str(TRIAL), *arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
            )
        end = time.monotonic() + STARTED_WITHIN
        while as_postgres("pg_isready", "-q", "-h", str(OWN)).returncode != 0:
            if self.server.poll() is not None or time.monotonic() > end:
                raise RefusedError(f"it does not start: {(OWN / 'log').read_text(errors='replace')[-400:]}")
            time.sleep(0.2)
        return f"postgresql:///sekha?host={OWN}"

    def structure(self) -> int:
        expected, found = ask(LIVE, SCHEMA), ask(OWN, SCHEMA)
        if expected != found:
            differ = sorted(set(expected) ^ set(found))
            raise RefusedError(f"the schema is not the live database's: {'; '.join(differ)[:300]}")
        check = ("pg_amcheck", "-h", str(OWN), "-d", "sekha", "--install-missing", "--heapallindexed")
        done = as_postgres(*check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RefusedError(f"tables or indexes are damaged: {done.stdout.strip()[:400]}")
        return int(ask(OWN, "SELECT max(version) FROM schema_version"))

    def content(self) -> Content:
        return content(OWN)

    def bounds(self, marked: Content) -> dict[str, tuple[int, int]]:
        return bounds(marked.rows, self.before, ask(LIVE, CHANGES))
