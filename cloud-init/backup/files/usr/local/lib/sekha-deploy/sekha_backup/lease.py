"""The lease in the bucket: one machine at a time may be the stack's primary.

The holder writes the lease every RENEW seconds, over the entity tag that it wrote last. Another machine may take it
when it was not written for TTL seconds (by the store's clock) or was released. A holder that finds the lease to be
another's stops its database and remembers that (`fenced.json`): what it would write from then on would be lost. While
the bucket can't be reached a holder goes on serving: an object store's bad hour must not be everybody's.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sekha_backup import machine, stream
from sekha_backup.bucket import Answer, Bucket
from sekha_backup.machine import RefusedError
from sekha_backup.nudge import nudge

WAL = re.compile(r"[0-9A-F]{24}")
RENEW, TTL = 20.0, 60.0  # seconds
SETTLED = 3.0  # seconds after which nobody writes any more who saw no lease
CLOCK = 2.0  # seconds that the store's Last-Modified may be rounded
SILENT = 25.0  # seconds without a renewal after which a holder is probably dead: one that lives renewed before


class LostError(Exception):
    """The lease is another machine's; the message says whose."""


def say(text: str) -> None:
    print(text, flush=True)


class Lease:
    """The lease of one stack as one machine sees it. `holder` is its instance id."""

    def __init__(self, bucket: Bucket, holder: str, node: str, sleep: Callable[[float], object] = time.sleep) -> None:
        self.bucket, self.holder, self.node, self.sleep = bucket, holder, node, sleep
        self.key = bucket.place.prefix + "lease.json"
        self.heir_of = ""  # a holder that can't serve any more, because its volume is here: its lease is inherited
        self.etag = ""
        self.state: dict[str, Any] = {}
        self.waited = False  # for a machine that died: what the bucket held before may have grown since

    def look(self) -> tuple[dict[str, Any], Answer]:
        """What is in the bucket: ({} where nothing is, the answer). Raises OSError."""
        answer = self.bucket.get(self.key)
        return (json.loads(answer.body) if answer.status == 200 else {}), answer

    def free(self, state: dict[str, Any], answer: Answer) -> bool:
        """Whether this machine may take the lease as it is."""
        mine, stale = state.get("holder") in (self.holder, self.heir_of or self.holder), answer.age > TTL + CLOCK
        return mine or stale or bool(state.get("released"))

    def take(self, silent: Callable[[], object] = lambda: None) -> dict[str, Any]:
        """Become the holder; returns what the lease said before ({}: there was none).

        A lease of a machine that died is waited for, TTL seconds at most; `silent` is called once, as soon as that
        machine has missed a renewal. Raises RefusedError when its holder lives.
        """
        first, called = "", False
        end = time.monotonic() + 2 * TTL
        while True:
            state, answer = self.look()
            if not state or self.free(state, answer):
                if self._write(state, if_match=answer.etag if state else ""):
                    return state
                if time.monotonic() > end:
                    raise OSError(f"bucket {self.bucket.place.name}: the lease can't be written: {answer.status}")
                self.sleep(0.5)  # somebody was faster, or is at it
                continue
            first = first or answer.etag
            if answer.etag != first or time.monotonic() > end:
                raise RefusedError(
                    f"another machine is this stack's primary: {state.get('node')} (instance {state.get('holder')}) "
                    f"renewed its lease {answer.age:.0f} s ago. Stop that machine, or wait until its restore is done; "
                    "this one changes nothing."
                )
            if not self.waited:
                say(f"the lease is that of instance {state.get('holder')}, {answer.age:.0f} s old: waiting for its end")
            self.waited = True
            if not called and answer.age > SILENT:
                called = True
                silent()
            self.sleep(min(1.0, max(0.2, TTL + CLOCK - answer.age)))

    def _write(self, before: dict[str, Any], if_match: str, **changes: Any) -> bool:
        """Write the lease over what was read; False when somebody was faster. Keeps `data` and, of its own, `since`."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        mine = before.get("holder") == self.holder
        state = {
            "holder": self.holder,
            "node": self.node,
            "since": before.get("since", now) if mine else now,
            "at": now,
            "data": bool(before.get("data")),  # this stack has had a backup: an empty repository is a loss
            # the last WAL file in the archive, and in which (SQLite: the highest message in the bucket): if it is gone,
            # something was lost
            **{name: before[name] for name in ("wal", "repository", "reached") if before.get(name)},
            **changes,
        }
        body = json.dumps(state).encode()
        answer = self.bucket.put(self.key, body, if_match, if_none=not if_match)
        if answer.status == 412 and not if_match and not self.look()[0]:
            # It was deleted, and this store (versitygw) takes the delete marker for an object. So: the last one wins.
            answer = self.bucket.put(self.key, body)
            self.sleep(SETTLED)
            if self.look()[0].get("holder") != self.holder:
                return False
        if answer.status not in (200, 204):
            return False
        self.etag, self.state = answer.etag, state
        return True

    def renew(self, **changes: Any) -> None:
        """Write the lease once more. Raises LostError when it is another's, OSError when the bucket is away."""
        for _ in range(5):
            if self.etag and self._write(self.state, self.etag, **changes):
                return
            state, answer = self.look()
            if state and state.get("holder") != self.holder:
                raise LostError(f"{state.get('node')} (instance {state.get('holder')}) since {state.get('since')}")
            if self._write(state, answer.etag if state else "", **changes):
                return
        raise OSError("the lease could not be written: somebody else keeps writing it")

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew in the background while something long runs."""
        done = threading.Event()

        def work() -> None:
            while not done.wait(RENEW):
                try:
                    self.renew()
                except (OSError, LostError) as error:
                    say(f"lease: {error}")

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def of_this_machine() -> Lease:
    return Lease(Bucket(machine.own_place()), machine.instance(), machine.node())


def fence(reason: str, key_id: str) -> None:
    """Stop what would write, for good: only an operator may decide that this machine's data shall serve again, and not
    with the stack key `key_id`. A volume without data (a rebuild that was refused) stays open to the next rebuild."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    if machine.DATABASE.exists() or machine.MAIN.exists():
        machine.write(machine.BRANCHED, json.dumps({"key": key_id}), 0o644)
        machine.write(machine.FENCED, json.dumps({"at": now, "holder": reason}), 0o644)
    say(f"the lease is another machine's: {reason}; stopping service and database here")
    units = ("sekha.service", "postgresql@17-main.service", "sekha-litestream.service")
    subprocess.run(["systemctl", "stop", *units], check=False, timeout=120)


def archived(repository: str) -> dict[str, str]:
    """The last WAL file that reached the archive, for the lease to remember; {} while the database can't tell."""
    ask = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "psql", "-X", "-q", "-At", "-c")
    try:
        found = subprocess.run(
            [*ask, "select last_archived_wal from pg_stat_archiver", "postgres"],
            capture_output=True, text=True, check=False, timeout=5, cwd="/",
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"wal": found, "repository": repository} if WAL.fullmatch(found) else {}


def hold() -> None:
    """The daemon sekha-lease: renew until told to stop, fence when the lease is lost."""
    lease, complaint = of_this_machine(), ""
    while not machine.FENCED.exists():
        nudge()
        try:
            lease.renew(**(stream.reached() if machine.is_sqlite() else archived(lease.bucket.place.named("postgres"))))
            complaint = ""
        except LostError as lost:
            fence(str(lost), lease.bucket.place.key_id)
            return
        except OSError as error:
            if str(error) != complaint:  # once, not at every try
                complaint = str(error)
                say(f"the lease can't be renewed, serving on: {complaint}")
        time.sleep(RENEW)


def release() -> None:
    """Give the lease back when the machine is shut down in order, so that its successor need not wait."""
    state = subprocess.run(["systemctl", "is-system-running"], capture_output=True, text=True, check=False).stdout
    if state.strip() == "stopping":
        of_this_machine().renew(released=True)
