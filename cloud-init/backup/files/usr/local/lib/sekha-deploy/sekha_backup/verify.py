"""`sekha-backup verify`: restore the newest backup beside the database, look at it, ask it through a service, drop it.

Nothing is read from the live data but what the result is compared with. The verdict, good or bad, goes to the machine's
own record and, sealed, to the bucket.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sekha_backup import machine, receipt, verify_service
from sekha_backup.lease import say
from sekha_backup.machine import RefusedError

T = TypeVar("T")
LOCK = machine.ROOT / "run/sekha-verify.lock"
BEHIND = 60.0  # seconds that the restored newest row may be older than the live one was: the RPO (issue 7)


@dataclass(frozen=True)
class Content:
    """Rows by table, and when the newest row of all was written (None: there is none)."""

    rows: dict[str, int]
    newest: datetime.datetime | None


class Subject(Protocol):
    """A kind of database and its backups, as verification needs them. Each raises RefusedError when a check fails."""

    def clean(self) -> None:
        """End and remove everything that this run, or a killed one, left."""

    def mark(self) -> Content:
        """The live database's content now, after seeing that all of it has reached the archive."""

    def restore(self) -> dict[str, Any]:
        """Restore the newest state from the bucket: {"backup": label, "bytes": of the data, ...}. Refuses when the disk
        can't hold it."""

    def checksums(self) -> int:
        """Check the restored files' own checksums; how many pages they cover."""

    def open(self) -> str:
        """Make the restored database usable; the database URL that a service takes."""

    def structure(self) -> int:
        """Check schema and indexes against the live database; the schema's version."""

    def content(self) -> Content:
        """The restored database's content."""

    def bounds(self, marked: Content) -> dict[str, tuple[int, int]]:
        """How many rows of each table a right restore may hold, by what the live database did since `mark`."""


def judge(restored: Content, marked: Content, bounds: dict[str, tuple[int, int]]) -> float:
    """Seconds that the restored newest row is older than the live one was (0: it is not). Raises RefusedError when rows
    are missing, too many, or too old. Pure."""
    wrong = [
        f"{table}: {restored.rows.get(table, 0)} rows restored, the live database has "
        + (str(low) if low == high else f"{low} to {high}")
        for table, (low, high) in sorted(bounds.items())
        if not low <= restored.rows.get(table, 0) <= high
    ]
    if wrong:
        raise RefusedError("; ".join(wrong))
    if marked.newest is None:
        return 0.0
    if restored.newest is None:
        raise RefusedError("the restored database holds no dated row, and the live one does")
    behind = (marked.newest - restored.newest).total_seconds()
    if behind > BEHIND:
        raise RefusedError(f"the newest restored row is {behind:.0f} s older than the live database's")
    return max(0.0, behind)


@dataclass
class Run:
    """One verification under way: `figures` grows step by step, so that a failure says how far it came."""

    figures: dict[str, Any] = field(default_factory=lambda: {"ok": False, "seconds": {}})

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do one step, timed; what fails in it is said to have failed in it."""
        began = time.monotonic()
        self.figures["step"] = name
        try:
            result = work()
        except (RefusedError, OSError, subprocess.SubprocessError) as error:
            raise RefusedError(f"{name}: {error}") from error
        self.figures["seconds"][name] = round(time.monotonic() - began, 2)
        say(f"{name}: done in {self.figures['seconds'][name]:.1f} s")
        return result


@contextmanager
def alone() -> Iterator[None]:
    """One verification or trial at a time. Raises RefusedError."""
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError("another verification or trial is under way") from None
        yield


def examine(subject: Subject, run: Run) -> None:
    """All steps; `run.figures` says what was found. Raises RefusedError."""
    figures = run.figures
    marked = run.step("archive", subject.mark)
    figures |= run.step("restore", subject.restore)
    figures["pages"] = run.step("checksums", subject.checksums)
    url = run.step("open", subject.open)
    figures["schema"] = run.step("structure", subject.structure)
    found = run.step("rows", subject.content)
    figures["rows"] = found.rows
    figures["newest"] = found.newest.isoformat(timespec="seconds") if found.newest else None
    age = datetime.datetime.now(datetime.UTC) - found.newest if found.newest else None
    figures["newest_age_seconds"] = round(age.total_seconds(), 1) if age else None
    figures["behind_seconds"] = run.step("compare", lambda: judge(found, marked, subject.bounds(marked)))
    figures["query"] = run.step("query", lambda: verify_service.ask(url, found.rows.get("messages", 0)))


def verify(subject: Subject) -> dict[str, Any]:
    """Verify; the verdict is noted here and in the bucket. Raises RefusedError when it is a bad one."""
    place = machine.own_place()
    with alone():
        run, began, failure = Run(), time.monotonic(), ""
        try:
            subject.clean()
            examine(subject, run)
            run.figures["ok"] = True
        except RefusedError as error:
            failure = str(error)
        finally:
            subject.clean()
        run.figures |= {"at": receipt.now(), "node": machine.node(), "message": failure}
        run.figures["seconds"]["all"] = round(time.monotonic() - began, 2)
        receipt.note(receipt.VERIFICATION, run.figures)
        try:
            say(f"receipt: {receipt.publish(place, receipt.VERIFICATION, run.figures, history=True)}")
        except OSError as error:
            failure = failure or f"the backup is good, and the receipt could not be stored: {error}"
    if failure:
        raise RefusedError(failure)
    say(f"verified: {json.dumps(run.figures)}")
    return run.figures
