"""Daily copies of a SQLite database that serves: copied hot, checked, compressed, encrypted, kept for 30 days.

A copy is sealed pieces under `sqlite-KEY/daily/TIME/`, and a row of `sqlite-KEY/daily.json`, written when all of it is
there. litestream's stream restores any moment; a copy is whole by itself, and of another program's making.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sekha_backup.bucket import Answer, Bucket
from sekha_backup.files import seal, unseal
from sekha_backup.machine import COPIES, DATABASE, SQLITE, Place, RefusedError
from sekha_backup.repository import Backup
from sekha_backup.steps import room

PIECE = 16 << 20  # bytes of an object before encryption: what is in memory at once
DAYS = 30
WORK = SQLITE / "copy"
Row = dict[str, Any]


def index(bucket: Bucket) -> tuple[list[Row], Answer]:
    """The rows of daily.json, oldest first ([]: there is none), and the store's answer. Raises OSError."""
    answer = bucket.get(f"{bucket.place.named('sqlite')}/daily.json")
    return (json.loads(answer.body)["copies"] if answer.status == 200 else []), answer


def backups(place: Place) -> list[Backup]:
    """The copies in the bucket, oldest first."""
    return [
        Backup(row["at"], "copy", moment, moment, row["bytes"], row["stored"])
        for row in index(Bucket(place))[0]
        for moment in [datetime.datetime.fromisoformat(row["at"])]
    ]


def make(place: Place, database: Path = DATABASE, work: Path = WORK) -> Row:
    """Copy the database while it serves, and put the copy into the bucket; its row. Old ones are deleted.

    Raises RefusedError when the copy is not intact, OSError when the bucket is away.
    """
    now = datetime.datetime.now(datetime.UTC)
    row: Row = {"at": now.isoformat(timespec="seconds"), "pieces": 0, "stored": 0}
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700, parents=True)
    room(database.stat().st_size * 1.5, work)  # and compressed, before it goes
    try:
        copy = work / "copy.db"
        hot(database, copy)
        row |= look(copy)
        bucket, key = Bucket(place), place.derived(COPIES)
        for number, piece in enumerate(_compressed(copy)):
            sealed = seal(piece, key)
            bucket.put(_piece(place, row["at"], number), sealed)
            row["pieces"], row["stored"] = number + 1, row["stored"] + len(sealed)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _enter(bucket, row, (now - datetime.timedelta(days=DAYS)).isoformat())
    return row


def hot(database: Path, copy: Path) -> None:
    """SQLite's online backup in one step: one consistent view; those who write are not held up."""
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=30)) as source:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(copy)) as target:
            source.backup(target, pages=-1)


def look(file: Path) -> Row:
    """Size, SHA-256 and number of conversations of a database file that nobody has open. Raises RefusedError when it
    is damaged."""
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as base:
            base.execute("PRAGMA journal_mode = DELETE")  # nothing beside the file
            told = [row[0] for row in base.execute("PRAGMA integrity_check(5)")]
            if told != ["ok"]:
                raise RefusedError(f"the database is damaged: {'; '.join(told)}")
            if wrong := base.execute("PRAGMA foreign_key_check").fetchone():
                raise RefusedError(f"the database is damaged: rows refer to others that are not there: {wrong}")
            (count,) = base.execute("SELECT count(*) FROM conversations").fetchone()
    except sqlite3.DatabaseError as error:
        raise RefusedError(f"the database can't be read: {error}") from error
    with file.open("rb") as stream:
        return {
            "bytes": file.stat().st_size,
            "sha256": hashlib.file_digest(stream, "sha256").hexdigest(),
            "conversations": count,
        }


def bring(place: Place, at: str, out: Path) -> Row:
    """The copy of the time `at` as the file `out`; its row. Raises RefusedError when it is not there, or damaged."""
    bucket = Bucket(place)
    row = next((row for row in index(bucket)[0] if row["at"] == at), None)
    if row is None:
        raise RefusedError(f"there is no copy of {at}")
    packed = out.with_name(out.name + ".zst")
    with packed.open("wb") as file:
        for number in range(row["pieces"]):
            answer = bucket.get(_piece(place, at, number))
            if answer.status == 404:
                raise RefusedError(f"the copy of {at} lacks its piece {number}")
            file.write(unseal(answer.body, place.derived(COPIES)))
    done = subprocess.run(["zstd", "-d", "-q", "--rm", str(packed), "-o", str(out)], check=False)
    with out.open("rb") as stream:
        if done.returncode or hashlib.file_digest(stream, "sha256").hexdigest() != row["sha256"]:
            raise RefusedError(f"the copy of {at} is damaged")
    return row


def _piece(place: Place, at: str, number: int) -> str:
    return f"{place.named('sqlite')}/daily/{at}/{number:04d}"


def _compressed(file: Path) -> Iterator[bytes]:
    """The file compressed by zstd, in pieces. Raises subprocess.CalledProcessError."""
    subprocess.run(["zstd", "-3", "-q", "--rm", str(file)], check=True)
    with file.with_name(file.name + ".zst").open("rb") as packed:
        while piece := packed.read(PIECE):
            yield piece


def _enter(bucket: Bucket, row: Row, oldest: str) -> None:
    """Add the row, take out those older than `oldest`, then delete their pieces. Raises OSError."""
    place = bucket.place
    rows, answer = index(bucket)
    kept = [*(one for one in rows if one["at"] >= oldest), row]
    there = answer.etag if answer.status == 200 else ""
    body = json.dumps({"copies": kept}).encode()
    if bucket.put(f"{place.named('sqlite')}/daily.json", body, there, if_none=not there).status == 412:
        raise OSError("somebody else wrote daily.json at the same time; start the backup again")
    for old in rows:
        if old["at"] < oldest:
            for number in range(old["pieces"]):
                bucket.request("DELETE", _piece(place, old["at"], number))
