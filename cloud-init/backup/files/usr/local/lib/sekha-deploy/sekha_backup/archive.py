"""How far the archive is behind the database that serves."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from sekha_backup import machine
from sekha_backup.machine import RefusedError
from sekha_backup.verify_postgres import LIVE, ask

SETTINGS = (
    "SELECT json_build_array(current_setting('archive_mode'), current_setting('archive_command'),"
    " extract(epoch from last_archived_time), last_failed_wal,"
    " coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)) FROM pg_stat_archiver"
)
NEWEST = "SELECT extract(epoch from max(updated_at)) FROM conversations"


@dataclass(frozen=True)
class Lag:
    """`seconds`: age of the oldest write that is not archived, 0 = none; `segments` that wait; `problem`: "" = none."""

    seconds: float
    segments: int
    problem: str = ""


def waiting(main: Path = machine.MAIN) -> list[float]:
    """When each WAL segment that waits for the archive was complete (seconds since 1970)."""
    found = []
    for path in (main / "pg_wal/archive_status").glob("*.ready"):
        with contextlib.suppress(FileNotFoundError):  # archived meanwhile
            found.append(path.stat().st_mtime)
    return found


def lag(
    ready: list[float], now: float, mode: str = "on", command: str = "pgbackrest", archived: float = 0.0,
    newest: float = 0.0, failing: str = "",
) -> Lag:  # fmt: skip
    """Pure. `ready`: of `waiting`; `archived`: when a segment was archived last, `newest`: when a row was written last,
    seconds since 1970; `failing`: the segment that the archiver fails at."""
    oldest = min([*ready, *([newest] if newest > archived else [])], default=now)
    problem = f"the archiver fails at WAL {failing}" if failing else ""
    if mode != "on" or "pgbackrest" not in command:
        problem = f"nothing is archived: archive_mode is {mode}, archive_command {command[:60]!r}"
    return Lag(max(0.0, now - oldest), len(ready), problem)


def measure() -> Lag:
    """The archive's lag now. While the database is away, by its files alone."""
    try:
        mode, command, archived, wal, failed = ask(LIVE, SETTINGS)
        newest = float(ask(LIVE, NEWEST) or 0)
    except RefusedError as error:
        found = lag(waiting(), time.time())
        return Lag(found.seconds, found.segments, str(error))
    return lag(waiting(), time.time(), mode, command, float(archived or 0), newest, wal if failed else "")
