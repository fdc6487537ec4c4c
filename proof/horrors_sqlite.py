"""`make proof-horrors-sqlite`: what can go wrong with a SQLite stack's backups, done on STACK (drill), which is up.

Each horror ends in a right restore or in a clear refusal, never in an empty or half Sekha that looks healthy.
`make drill DATABASE=sqlite KEEP=1` leaves such a stack.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

from infra import backups
from ops import data_record, recover
from ops.backups import TOOL
from ops.confirm import one_of
from ops.drill import fill_sqlite as fill
from ops.engine import DRILL, OperatorError
from ops.local import engine_of
from ops.remote import Machine
from ops.show import json_line, say, table
from proof.entry import finish
from proof.horrors_rig import Outcome, answer, changed, flipped, halved, last_line, localcloud
from proof.probe import ask

STACK = os.environ.get("STACK") or DRILL
FOLDER, KEPT = "/srv/sekha/sqlite", "/srv/sekha/sqlite.kept"
UNITS = "sekha-litestream.service sekha-chroma.service sekha.service"
CHECKS = "for check in check-sqlite check-chroma check-sekha; do /usr/local/lib/sekha-deploy/$check; done"
CONFIG = "/etc/sekha-deploy/litestream.json"


class Rig:
    """The stack's machine, and its bucket with the operator's key."""

    def __init__(self) -> None:
        settings = recover.settings_of(engine_of(STACK))
        if settings is None or settings.database != "sqlite":
            raise OperatorError(f"stack {STACK} is none on SQLite: make drill DATABASE=sqlite KEEP=1 makes one")
        self.outputs = dict(engine_of(STACK).outputs())
        self.machine = Machine(STACK, self.outputs)
        self.store = data_record.store_of(settings)
        self.live = backups.stream(STACK, settings.secrets.stack_key) + "live/"

    def attempt(self, command: str) -> tuple[int, str]:
        """(exit code, all that was said) of a command on the machine that may fail."""
        done = subprocess.run(
            self.machine.command(f"bash -c {shlex.quote(command)} 2>&1"), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip
        return done.returncode, done.stdout.strip() or f"exit code {done.returncode}"

    def bring_up(self) -> tuple[int, str]:
        """The stage `restore` of a release."""
        return self.attempt(f"{TOOL} bring-up")

    def rows(self) -> int:
        ((count,),) = fill.query(self.machine, "SELECT count(*) FROM conversations")
        return int(str(count))

    def write(self, count: int = 3) -> int:
        """Conversations through the API, in the bucket afterwards, and known to the lease; how many there are now."""
        body = {"label": "proof", "folder": "/horrors", "messages": [{"role": "user", "content": "still here"}]}
        for _ in range(count):
            status, said = ask(self.outputs, "/api/v1/conversations", body=body)
            if status not in (200, 201):
                raise OperatorError(f"a conversation was not taken: {status} {said}")
            fill.archived_within(self.machine)
        self.machine.run("systemctl restart sekha-lease.service; sleep 3")
        return self.rows()

    def blank(self) -> None:
        """All stopped, and the volume as a new one is; the data stay aside."""
        self.machine.run(f"systemctl stop {UNITS}; rm -rf {KEPT}; mv {FOLDER} {KEPT}; install -d -m 0700 {FOLDER}")

    def serve(self) -> None:
        """Start what is in place, as the stages after `restore` do. Raises OperatorError when it stays unhealthy."""
        self.machine.run("install -d -o sekha-chroma -g sekha-chroma -m 0700 /srv/sekha/chroma")
        self.machine.run(f"systemctl reset-failed; systemctl start {UNITS} && {{ {CHECKS}; }}")

    def status(self) -> int:
        """What the stack's URL answers to /health; 0: nothing that the service says."""
        try:
            return ask(self.outputs, "/health", timeout=10)[0]
        except (OSError, ValueError):
            return 0

    def refused(self, what: str, result: tuple[int, str], words: str) -> Outcome:
        """A clear refusal with these words, no database in place, and no answer that looks healthy."""
        code, said = result
        there, status = self.attempt(f"test -s {FOLDER}/sekha.db")[0] == 0, self.status()
        told = f"exit code {code}: {last_line(said)}"
        return Outcome(what, told, f"nothing, the URL {answer(status)}",
                       code != 0 and words in said and not there and status != 200)  # fmt: skip

    def restored(self, what: str, result: tuple[int, str], rows: int) -> Outcome:
        """A right restore: all that was acknowledged is served."""
        code, said = result
        if code:
            return Outcome(what, last_line(said), "", False)
        self.serve()
        found, status = self.rows(), self.status()
        return Outcome(what, "restored", f"healthy, {found} of {rows} conversations", status == 200 and found == rows)

    def keys(self, kind: str) -> list[str]:
        """The newest stream's objects of a kind (wal, snapshots), oldest first."""
        pages: Any = self.store.s3.get_paginator("list_objects_v2").paginate(Bucket=self.store.bucket, Prefix=self.live)
        rows = [row for page in pages for row in page.get("Contents", []) if f"/{kind}/" in row["Key"]]
        newest = max(rows, key=lambda row: row["LastModified"])["Key"].partition(f"/{kind}/")[0]
        return sorted(row["Key"] for row in rows if row["Key"].startswith(newest + "/"))


def damaged(rig: Rig) -> Iterator[Outcome]:
    """What lies in the bucket is damaged, cut short, missing, or sealed with another key."""
    rig.write()
    rows = rig.write()
    rig.blank()
    wal, snapshot = rig.keys("wal"), rig.keys("snapshots")[-1]
    for what, key, change, words in (
        ("one bit of the snapshot is another", snapshot, flipped, "litestream restore: exit code 1"),
        ("half of the last change is there", wal[-1], halved, "litestream restore: exit code 1"),
        ("one bit of a change is another", wal[-2], flipped, "litestream restore: exit code 1"),
        ("a change in the middle is missing", wal[-3], None, "the stream lacks changes"),
        ("the snapshot is missing", snapshot, None, "litestream restore: exit code 1"),
    ):
        with changed(rig.store, key, change):
            yield rig.refused(what, rig.bring_up(), words)
    yield rig.restored("everything is whole again", rig.bring_up(), rows)


def foreign(rig: Rig) -> Iterator[Outcome]:
    """Another key than the stream's, and data of the other kind of database on the volume."""
    other = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    change = f"sed -i.kept 's/AGE-SECRET-KEY-[A-Z0-9]*/{other}/' {CONFIG}"
    code, said = rig.attempt(f"{change}; {TOOL} trial; code=$?; mv {CONFIG}.kept {CONFIG}; exit $code")
    yield Outcome("a key that does not open the stream", last_line(said), f"the URL {answer(rig.status())}",
                  code != 0 and "identit" in said)  # fmt: skip
    main = "/srv/sekha/postgresql/17/main"
    result = rig.attempt(f"install -d {main}; echo 17 >{main}/PG_VERSION; {TOOL} bring-up; code=$?; "
                         "rm -r /srv/sekha/postgresql; exit $code")  # fmt: skip
    yield Outcome("the volume holds a PostgreSQL database", last_line(result[1]), f"the URL {answer(rig.status())}",
                  result[0] != 0 and "are those of postgres" in result[1])  # fmt: skip


def midway(rig: Rig) -> Iterator[Outcome]:
    """The bucket away, the disk full, a kill, the file gone."""
    rows = rig.write()
    rig.blank()
    localcloud("fault", "add", "object_store_refused")
    try:
        yield rig.refused("the bucket is away", rig.bring_up(), "sekha-backup bring-up:")
    finally:
        localcloud("fault", "clear")
    free = f"$(stat -f -c '%f*%S' {FOLDER})"  # with what the file system keeps for root
    rig.attempt(f"rm -rf {KEPT}; sync; sleep 3; fallocate -l $(({free} - 100000000)) {FOLDER}/balloon")
    yield rig.refused("the volume fills up in the middle of the restore", rig.bring_up(), "no space left")
    rig.attempt(f"rm {FOLDER}/balloon")
    kill = (
        f"{TOOL} bring-up & pid=$!; until test -s {FOLDER}/restoring/sekha.db.tmp || ! kill -0 $pid;"
        " do sleep 0.02; done;"
        " kill -9 $(pgrep -f 'sekha_backup bring-u[p]') $(pgrep -x litestream); wait $pid;"
        " systemctl start sekha.service; echo killed; exit 1"
    )
    yield rig.refused("kill -9 in the middle of the restore, then the service is started", rig.attempt(kill), "killed")
    yield rig.restored("the next try", rig.bring_up(), rows)
    rig.machine.run(f"systemctl stop {UNITS}; mv {FOLDER}/sekha.db {FOLDER}/aside")
    journal = "journalctl -u sekha -n 20 -o cat | grep guard | tail -1"
    result = rig.attempt(f"systemctl start sekha.service; code=$?; {journal}; exit $code")
    yield rig.refused("the file is gone, and the service is started", result, "not starting with an empty database")
    rig.machine.run(f"systemctl stop {UNITS}; mv {FOLDER}/aside {FOLDER}/sekha.db")
    rig.serve()


HORRORS = {"foreign": foreign, "damaged": damaged, "midway": midway}


def main() -> int:
    """Run them (HORRORS=name,name: some); 1 when one did not end as it must."""
    rig, found = Rig(), list[Outcome]()
    for name in os.environ.get("HORRORS", "").split(",") if os.environ.get("HORRORS") else HORRORS:
        one_of("HORRORS", name, tuple(HORRORS))
        for outcome in HORRORS[name](rig):
            verdict = "as promised" if outcome.kept else "BROKEN"
            say(f"{verdict}: {outcome.what}: {outcome.said[-400:]} | {outcome.served}")
            found.append(outcome)
    rows = [(one.what, one.said[:140], one.served, "yes" if one.kept else "NO") for one in found]
    print(table(["horror (SQLite)", "said", "served", "as promised"], rows))
    json_line({"horrors": [vars(one) for one in found], "broken": [one.what for one in found if not one.kept]})
    return 0 if all(one.kept for one in found) else 1


if __name__ == "__main__":
    finish(main)
