"""What the horrors are made with: the local stack's machine, its bucket with the operator's key, and a blank volume."""

from __future__ import annotations

import http.client
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from infra import backups
from infra.object_store import Store
from infra.settings import Settings
from ops import data_record, recover
from ops.backups import TOOL
from ops.drill import fill
from ops.engine import LOCAL, OperatorError
from ops.local import engine_of
from ops.paths import REPO
from ops.remote import Machine
from proof.operator_copy import outputs, wait_for
from proof.probe import ask

CLUSTERS = "/srv/sekha/postgresql/17"
UNITS = "postgresql@17-main.service sekha-chroma.service sekha.service"
CHECKS = "for check in check-postgres check-chroma check-sekha; do /usr/local/lib/sekha-deploy/$check; done"
HASTE = "/etc/pgbackrest/conf.d/proof.conf"  # pgBackRest waits 5 s for a store that is away, not 60
AWAY = "object_store_refused"  # the local cloud's fault


@dataclass(frozen=True)
class Outcome:
    """One row: what was done, what the product said, what was served then, and whether that is as it must be."""

    what: str
    said: str
    served: str
    kept: bool


@contextmanager
def changed(store: Store, key: str, change: Callable[[bytes], bytes] | None) -> Iterator[None]:
    """An object of the bucket with other content meanwhile; None: deleted. Its time is another afterwards."""
    s3, name = store.s3, store.bucket
    content = s3.get_object(Bucket=name, Key=key)["Body"].read()
    if change is None:
        s3.delete_object(Bucket=name, Key=key)
    else:
        s3.put_object(Bucket=name, Key=key, Body=change(content))
    try:
        yield
    finally:
        s3.put_object(Bucket=name, Key=key, Body=content)


class Rig:
    """The local stack, which must be up."""

    def __init__(self) -> None:
        self.connect()
        settings = recover.settings_of(engine_of(LOCAL))
        if settings is None:
            raise OperatorError("the local stack's config can't be used: make up says why")
        self.settings: Settings = settings
        self.store = data_record.store_of(settings)
        self.prefix = backups.prefix(LOCAL)
        self.repository = backups.repository(LOCAL, settings.secrets.stack_key)
        self.address = str(urlsplit(settings.bucket.endpoint).hostname)

    def connect(self) -> None:
        """To the machine that there is now."""
        self.outputs = dict(outputs())
        self.machine = Machine(LOCAL, self.outputs)
        self.run(f"printf '[global]\\nio-timeout=5\\n' >{HASTE}; chgrp postgres {HASTE}; chmod 640 {HASTE}")

    def connect_to(self, address: str) -> None:
        """To a machine at this address whose bring-up failed: there are no outputs then."""
        before = str(urlsplit(self.outputs["url"]).hostname)
        self.outputs |= {name: self.outputs[name].replace(before, address) for name in ("url", "ssh")}
        self.machine = Machine(LOCAL, self.outputs)

    # -- the machine ----------------------------------------------------------------------------------------------

    def run(self, command: str, stdin: str | None = None) -> str:
        """Standard output of a command there. Raises OperatorError."""
        return self.machine.run(command, stdin=stdin, timeout=300)

    def attempt(self, command: str) -> tuple[int, str]:
        """(exit code, all that was said) of a command that may fail."""
        done = subprocess.run(
            self.machine.command(f"bash -c {shlex.quote(command)} 2>&1"), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip
        return done.returncode, done.stdout.strip()

    def bring_up(self, when: str = "", then: str = "") -> tuple[int, str]:
        """The stage `restore`; with `then`, that command as soon as its output has a line with `when`."""
        if not then:
            return self.attempt(f"{TOOL} bring-up")
        return self.attempt(
            f'{TOOL} bring-up 2>&1 | while IFS= read -r line; do echo "$line"; '
            f"case \"$line\" in *'{when}'*) {then} ;; esac; done; exit ${{PIPESTATUS[0]}}"
        )

    def blank(self) -> None:
        """Service and database stopped, and the volume as a new one is. The data stay aside for `give_back`."""
        self.run(f"systemctl stop {UNITS}; cd {CLUSTERS}; rm -rf main.kept restoring; mv main main.kept")

    def forget(self) -> None:
        self.run(f"rm -rf {CLUSTERS}/main.kept")

    def serve(self) -> None:
        """Start what is in place, as the stages after `restore` do. Raises OperatorError when it stays unhealthy."""
        self.run("install -d -o sekha-chroma -g sekha-chroma -m 0700 /srv/sekha/chroma")
        self.run(f"systemctl reset-failed; systemctl start {UNITS} && {{ {CHECKS}; }}")

    def rows(self) -> int:
        """How many conversations the database that serves has."""
        return int(self.run(fill.PSQL, stdin="SELECT count(*) FROM conversations;"))

    def status(self) -> int:
        """What the stack's URL answers to /health; 0: nothing that the service says."""
        try:
            return ask(self.outputs, "/health", timeout=10)[0]
        except (OSError, http.client.HTTPException, ValueError):
            return 0

    def write(self, count: int = 3) -> int:
        """Conversations through the API, all in the archive afterwards; how many there are now."""
        self.create(count)
        fill.archived_within(self.machine)
        return self.rows()

    def create(self, count: int) -> None:
        body = {"label": "proof", "folder": "/horrors", "messages": [{"role": "user", "content": "still here"}]}
        for _ in range(count):
            status, answer = ask(self.outputs, "/api/v1/conversations", body=body)
            if status not in (200, 201):
                raise OperatorError(f"a conversation was not taken: {status} {answer}")

    # -- what is served -------------------------------------------------------------------------------------------

    def nothing_served_here(self) -> tuple[str, bool]:
        """That a database which is there does not open, and the URL gives no answer that looks healthy."""
        code, _ = self.attempt("systemctl reset-failed; systemctl start sekha.service postgresql@17-main.service")
        active, _ = self.attempt("systemctl is-active -q postgresql@17-main.service")
        status = self.status()
        return f"nothing, the URL {answer(status)}", bool(code and active and status != 200)

    def nothing_served(self) -> tuple[str, bool]:
        """That no database opens and the URL gives no answer that looks healthy."""
        code, _ = self.attempt("systemctl reset-failed; systemctl start postgresql@17-main.service")
        there, _ = self.attempt(f"test -e {CLUSTERS}/main/PG_VERSION")
        status = self.status()
        told = f"nothing: no database, the URL {answer(status)}"
        return (told, True) if code and there and status != 200 else ("SOMETHING IS SERVED", False)

    def all_served(self, rows: int) -> tuple[str, bool]:
        """That the service is healthy with at least that many conversations."""
        self.serve()
        found, status = self.rows(), self.status()
        return f"healthy, {found} of {rows} conversations", status == 200 and found == rows

    def refused(self, what: str, result: tuple[int, str], words: str) -> Outcome:
        """A clear refusal, with these words in it, and nothing served."""
        code, said = result
        served, nothing = self.nothing_served()
        return Outcome(what, last_line(said), served, code != 0 and words in said and nothing)

    def restored(self, what: str, result: tuple[int, str], rows: int, words: str = "restored: ") -> Outcome:
        """A right restore: all that was acknowledged is served."""
        code, said = result
        line = next((line for line in said.splitlines() if words in line), said.splitlines()[-1] if said else "")
        if code:
            return Outcome(what, last_line(said), "", False)
        served, right = self.all_served(rows)
        self.forget()
        return Outcome(what, line.split(": {")[0], served, words in said and right)

    # -- the bucket -----------------------------------------------------------------------------------------------

    def keys(self, below: str) -> list[str]:
        """Names of the objects of the repository below a folder."""
        pages: Any = self.store.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.store.bucket, Prefix=self.repository + below
        )
        return [row["Key"] for page in pages for row in page.get("Contents", [])]

    def segments(self) -> list[str]:
        """The archive's WAL files, oldest first."""
        return sorted(
            (key for key in self.keys("archive/") if key.endswith(".zst")), key=lambda key: key.split("/")[-1]
        )

    def known_within(self, key: str, seconds: float = 60.0) -> None:
        """Wait until the lease tells that this WAL file was archived."""
        name = key.rpartition("/")[2][:24]
        wait_for(lambda: self.store.read_json(self.prefix + "lease.json").get("wal", "") >= name, seconds, "lease")

    @contextmanager
    def away(self) -> Iterator[None]:
        """The object store refuses every connection meanwhile."""
        localcloud("fault", "add", AWAY)
        there = f"curl -sk -m 3 -o /dev/null {self.settings.bucket.endpoint}"
        try:
            wait_for(lambda: self.attempt(there)[0] != 0, 30, "the object store is away")
            yield
        finally:
            localcloud("fault", "clear")
            wait_for(lambda: self.attempt(there)[0] == 0, 60, "the object store is back")


def localcloud(*arguments: str) -> None:
    """One command of the local cloud's. Raises OperatorError."""
    done = subprocess.run(
        [sys.executable, "-m", "localcloud", *arguments], cwd=REPO, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise OperatorError(f"localcloud {' '.join(arguments)}: {done.stderr.strip()}")


def flipped(content: bytes) -> bytes:
    """One bit in the middle is another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def halved(content: bytes) -> bytes:
    """As an upload that was cut short."""
    return content[: len(content) // 2]


def answer(status: int) -> str:
    """In words."""
    return f"answers {status}" if status else "has no service behind it"


def last_line(said: str) -> str:
    """The refusal's own words."""
    lines = [line for line in said.splitlines() if line.startswith(("sekha-backup", "sekha:"))] or said.splitlines()
    return (lines or [""])[-1].removeprefix("sekha-backup bring-up: ").removeprefix("sekha-backup trial: ")
