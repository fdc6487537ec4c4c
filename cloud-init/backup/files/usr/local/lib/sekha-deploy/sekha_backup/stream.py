"""How far litestream's stream to the bucket is behind the SQLite file that serves.

litestream copies each change into a shadow log, and from there to the bucket; its metrics, on loopback, say how far the
bucket is. All of it is there when the shadow log is not older than the file's own log, and the bucket at its end.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from sekha_backup import machine
from sekha_backup.litestream import METRICS
from sekha_backup.machine import DATABASE, RefusedError

SEEN = machine.ROOT / "run/sekha-deploy/stream.json"  # when the stream was last seen to be whole or to move
GAUGE = re.compile(r"^litestream_replica_wal_(index|offset)\{[^}]*\} (\S+)$", re.MULTILINE)
LOOK = 0.1  # seconds between two looks
MOVES_WITHIN = 10.0  # seconds in which a stream that is behind must be seen to move


@dataclass(frozen=True)
class Position:
    """A place in the log: WAL index and offset in bytes."""

    index: int
    offset: int


def uploaded() -> Position | None:
    """How far the bucket is; None: nothing was uploaded since litestream started. Raises RefusedError when it does not
    run."""
    try:
        with urllib.request.urlopen(f"http://{METRICS}/metrics", timeout=5) as answer:
            found = dict(GAUGE.findall(answer.read().decode()))
    except OSError as error:
        raise RefusedError(f"litestream does not run: {error}; journalctl -u sekha-litestream") from error
    if len(found) < 2:
        return None
    return Position(int(float(found["index"])), int(float(found["offset"])))


def shadow(database: Path = DATABASE) -> tuple[Position, float]:
    """The end of the shadow log, and when it was written last. Raises RefusedError when there is none."""
    folder = database.with_name(f".{database.name}-litestream")
    with contextlib.suppress(FileNotFoundError):
        generation = (folder / "generation").read_text().strip()
        newest = max((folder / "generations" / generation / "wal").glob("*.wal"), default=None)
        if newest:
            status = newest.stat()
            return Position(int(newest.stem, 16), status.st_size), status.st_mtime
    raise RefusedError("litestream has not begun to copy the database")


def whole(database: Path = DATABASE) -> bool:
    """Whether all that is written now is in the bucket. Raises RefusedError."""
    written = database.with_name(f"{database.name}-wal").stat().st_mtime
    end, copied = shadow(database)
    return copied >= written and uploaded() == end


def mark(database: Path = DATABASE) -> None:
    """A write that changes nothing, so that there is something to upload. Raises RefusedError."""
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=30)) as base, base:
            base.execute("INSERT INTO instance (id) VALUES ('mark')")  # nobody sees it, and its page is written
            base.execute("DELETE FROM instance WHERE id = 'mark'")
    except sqlite3.Error as error:
        raise RefusedError(f"the database can't be written: {error}") from error


def wait(seconds: float, database: Path = DATABASE) -> float:
    """Wait until all that is written now is in the bucket; how long that took. Raises RefusedError after `seconds`."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(FileNotFoundError):
            if whole(database):
                return time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise RefusedError(f"what was written did not reach the bucket within {seconds:.0f} s")
        time.sleep(LOOK)


def reached(database: Path = DATABASE) -> dict[str, int]:
    """The highest number of a message that is surely in the bucket, for the lease to remember; {}: not known now."""
    try:
        number = highest(database)
        return {"reached": number} if whole(database) else {}  # in this order: what came between is not counted
    except (RefusedError, OSError):
        return {}


def highest(database: Path) -> int:
    """The highest number that any message ever had; those of deleted ones are not given again. Raises RefusedError."""
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=30)) as base:
            row = base.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
            return int(row[0]) if row else 0
    except sqlite3.Error as error:
        raise RefusedError(f"the database can't be read: {error}") from error


def behind() -> float:
    """Seconds since the stream was last seen to be whole or to move, 0: it does. Raises RefusedError."""
    now = time.time()
    try:
        before = uploaded()
        if before is None:
            mark()
        end = time.monotonic() + MOVES_WITHIN
        while not whole() and uploaded() == before:
            if time.monotonic() > end:
                since: float = json.loads(SEEN.read_text())["at"] if SEEN.exists() else now
                return max(MOVES_WITHIN, now - since)
            time.sleep(1)
    except FileNotFoundError as error:
        raise RefusedError(f"there is no database to copy: {error}") from error
    machine.write(SEEN, json.dumps({"at": now}))
    return 0.0
