"""`make proof-verification`: a good verification, then failures planted one by one: each is caught and seen outside.

Works on the local stack, which must be up. Each failure is undone. For each the proof asks what an operator would see:
the units that failed, the alerts that hold for the machine's metrics, and what `make status` says.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from infra import backups
from infra.settings import Settings
from ops import verification
from ops.drill import fill
from ops.engine import LOCAL, Engine, OperatorError
from ops.local import engine_of
from ops.receipt import store_of
from ops.recover import settings_of
from ops.remote import Machine
from ops.show import json_line, say, table
from proof import alerts

ROWS, LAG, DRAINED = (
    20,
    120,
    120,
)  # rows written for the good case; seconds of lag that are too much; seconds to catch up
WRITE = (
    "INSERT INTO conversations (id, label, message_count) SELECT gen_random_uuid(), 'verification', 1 "
    'FROM generate_series(1, {rows}); INSERT INTO messages (id, conversation_id, seq, role, content, "timestamp") '
    "SELECT gen_random_uuid(), id, 0, 'user', 'a lighthouse in the fog', now() FROM conversations c WHERE label = "
    "'verification' AND NOT EXISTS (SELECT FROM messages WHERE conversation_id = c.id);"
)
ARCHIVER = "pgrep -u postgres -f 'postgres: .*archiver'"
RECORD = verification.RECORD


@dataclass(frozen=True)
class Seen:
    """What an operator sees: failed units, alerts that hold, and the lines of `make status` that say it."""

    units: list[str]
    alerts: list[str]
    status: list[str]


class Proof:
    """The local stack, with what is planted in it."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine, self.settings, self.machine = engine, settings, Machine(LOCAL)
        self.store = store_of(settings)
        self.repository = backups.repository(LOCAL, settings.secrets.stack_key)

    def unit(self, name: str) -> None:
        """Run a unit to its end, however it ends."""
        self.machine.run(f"systemctl start {name} || true", timeout=900)

    def look(self) -> Seen:
        self.unit("sekha-backup-check")
        metrics = self.machine.run("cat /run/sekha-metrics/backup.prom")
        failed = self.machine.run("systemctl list-units --failed --plain --no-legend").splitlines()
        return Seen(
            [line.split()[0].removesuffix(".service") for line in failed],
            alerts.holding(metrics, float(self.machine.run("date +%s.%N"))),
            [line for line in verification.lines(self.engine) if "PROBLEM" in line or "FAILED" in line],
        )

    def newest(self) -> str:
        """Where the newest backup's files are."""
        rows = json.loads(self.machine.run("sekha-backup list --json"))
        return f"{self.repository}backup/{backups.STANZA}/{rows[-1]['label']}/"

    def keys(self, prefix: str) -> list[str]:
        """The objects there, the largest first."""
        rows = self.store.s3.list_objects_v2(Bucket=self.store.bucket, Prefix=prefix).get("Contents", [])
        return [row["Key"] for row in sorted(rows, key=lambda row: -row["Size"])]

    @contextlib.contextmanager
    def changed(self, keys: list[str], change: Callable[[bytes], bytes | None]) -> Iterator[None]:
        """These objects with other content (None: deleted); at the end with the content of before."""
        before = {key: self.store.s3.get_object(Bucket=self.store.bucket, Key=key)["Body"].read() for key in keys}
        try:
            for key, body in before.items():
                put = change(body)
                if put is None:
                    self.store.delete(key)
                else:
                    self.store.s3.put_object(Bucket=self.store.bucket, Key=key, Body=put)
            yield
        finally:
            for key, body in before.items():
                self.store.s3.put_object(Bucket=self.store.bucket, Key=key, Body=body)

    @contextlib.contextmanager
    def shell(self, plant: str, undo: str) -> Iterator[None]:
        """Something planted on the machine by a command."""
        try:
            self.machine.run(plant)
            yield
        finally:
            self.machine.run(undo)

    def wait(self, command: str, seconds: float, what: str) -> None:
        """Until a shell condition holds on the machine. Raises OperatorError."""
        end = time.monotonic() + seconds
        while self.machine.run(f"{command} && echo yes || true").strip() != "yes":
            if time.monotonic() > end:
                raise OperatorError(f"{what}: not within {seconds:.0f} s")
            time.sleep(1)


def flip(body: bytes) -> bytes:
    """One byte in the middle changed."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]


def corrupted(proof: Proof) -> Seen:
    with proof.changed(proof.keys(proof.newest() + "bundle/")[:1], flip):
        proof.unit("sekha-verify")
        return proof.look()


def emptied(proof: Proof) -> Seen:
    with proof.changed(proof.keys(proof.newest() + "bundle/"), lambda _: b""):
        proof.unit("sekha-verify")
        return proof.look()


def missing(proof: Proof) -> Seen:
    info = proof.keys(f"{proof.repository}backup/{backups.STANZA}/backup.info")
    with proof.changed(info, lambda _: None):
        proof.unit("sekha-backup@diff")
        seen = proof.look()
    proof.unit("sekha-backup@diff")
    return seen


def lacking(proof: Proof) -> Seen:
    """A table that no backup holds the rows of, because it is not logged."""
    make = "CREATE UNLOGGED TABLE planted AS SELECT generate_series(1, 10);"
    with proof.shell(f"echo '{make}' | {fill.PSQL}", f"echo 'DROP TABLE planted;' | {fill.PSQL}"):
        proof.unit("sekha-verify")
        return proof.look()


def refused(proof: Proof) -> Seen:
    """The bucket does not know the machine's key any more."""
    conf = "/etc/pgbackrest/conf.d/repository.conf"
    spoil = f"cp -p {conf} /root/repository.conf && sed -i 's/^repo1-s3-key-secret=./&x/' {conf}"
    with proof.shell(spoil, f"mv /root/repository.conf {conf}"):
        proof.unit("sekha-first-backup")
        seen = proof.look()
    proof.unit("sekha-first-backup")
    return seen


def stopped(proof: Proof) -> Seen:
    with proof.shell(f"kill -STOP $({ARCHIVER})", f"kill -CONT $({ARCHIVER})"):
        proof.machine.run(fill.PSQL, stdin=WRITE.format(rows=1))
        began = time.monotonic()
        proof.unit("sekha-verify")
        time.sleep(max(0.0, LAG + 10 - (time.monotonic() - began)))
        seen = proof.look()
    status = "/srv/sekha/postgresql/17/main/pg_wal/archive_status"
    proof.wait(f"! ls {status}/*.ready >/dev/null 2>&1", DRAINED, "the archive catches up")
    return seen


def overdue(proof: Proof) -> Seen:
    ago = "date -u -d '9 days ago' +%Y-%m-%dT%H:%M:%S+00:00"
    edit = f'cp {RECORD} /root/record && sed -i \'s/"at": "[^"]*"/"at": "\'$({ago})\'"/\' {RECORD}'
    proof.unit("sekha-verify")
    with proof.shell(edit, f"mv /root/record {RECORD}"):
        return proof.look()


def full(proof: Proof) -> Seen:
    room = "$(( $(df --output=avail -B1 /srv/sekha | tail -1) - 300000000 ))"
    with proof.shell(f"fallocate -l {room} /srv/sekha/filler", "rm -f /srv/sekha/filler"):
        proof.unit("sekha-verify")
        return proof.look()


def killed(proof: Proof) -> Seen:
    trial = "/srv/sekha/postgresql/17/trial"
    proof.unit("sekha-verify")
    proof.machine.run("systemctl start --no-block sekha-verify")
    proof.wait(f"test -e {trial}/PG_VERSION", 120, "a restore beside the database")
    proof.machine.run("systemctl kill -s KILL --kill-whom=main sekha-verify")
    proof.wait(
        "! systemctl is-active -q sekha-verify && systemctl is-failed -q sekha-verify", 60, "the killed unit fails"
    )
    left = proof.machine.run(
        f"ls -d {trial} /run/sekha-verify 2>/dev/null; pgrep -f '[p]ostgres -D {trial}' || true"
    ).split()
    if left:
        raise OperatorError(f"the killed verification left {left}")
    return proof.look()


CASES: dict[str, tuple[Callable[[Proof], Seen], set[str], set[str], str]] = {
    "a corrupted backup file": (corrupted, {"sekha-verify"}, {"SekhaVerificationFailed"}, "restore: pgbackrest"),
    "a backup emptied to 0 bytes": (emptied, {"sekha-verify"}, {"SekhaVerificationFailed"}, "restore: pgbackrest"),
    "a table that is empty in the backup": (
        lacking, {"sekha-verify"}, {"SekhaVerificationFailed"}, "planted: 0 rows restored, the live database has 10",
    ),
    "the first backup refused by the bucket": (
        refused, {"sekha-first-backup"}, {"SekhaBackupUnreadable"}, "the last run of sekha-first-backup failed",
    ),
    "the archiver stopped": (
        stopped, {"sekha-verify"}, {"SekhaArchiveLag", "SekhaVerificationFailed"}, "did not reach the archive",
    ),
    "the repository's record missing": (missing, {"sekha-backup@diff"}, {"SekhaBackupUnreadable"}, "can't be read"),
    "no verification for 9 days": (overdue, set(), {"SekhaVerificationMissing"}, "no verification for 9 days"),
    "the volume nearly full": (full, {"sekha-verify"}, {"SekhaVerificationFailed"}, "needs"),
    "verification killed, nothing left of it": (
        killed, {"sekha-verify"}, {"SekhaBackupProblem"}, "the last run of sekha-verify failed",
    ),
}  # fmt: skip
"""What is planted: how, and the units, alerts and words of `make status` that must show it."""


def caught(seen: Seen, units: set[str], names: set[str], words: str) -> bool:
    """Whether a failure shows everywhere it must. Pure."""
    expected = units | {"sekha-backup-check"}
    return expected <= set(seen.units) and names <= set(seen.alerts) and any(words in line for line in seen.status)


def good(proof: Proof) -> tuple[dict[str, Any], bool]:
    """A verification that must be good, and nothing that shows a failure."""
    proof.unit("sekha-verify")
    figures = json.loads(proof.machine.run(f"cat {RECORD}"))
    seen = proof.look()
    return figures, bool(figures["ok"]) and not (seen.units or seen.alerts or seen.status)


def main() -> int:
    """Run the proof; 1 when a failure was not caught."""
    engine = engine_of(LOCAL)
    settings = settings_of(engine)
    if settings is None:
        raise OperatorError("the local stack is not up: make up")
    proof = Proof(engine, settings)
    proof.unit("sekha-first-backup")
    proof.machine.run(fill.PSQL, stdin=WRITE.format(rows=ROWS))
    short = os.environ.get("SHORT") == "1"
    rows: list[tuple[str, str, str, str]] = []
    broken: list[str] = []
    if not short:
        say("verification: a good backup")
        figures, well = good(proof)
        print(table(["verification", LOCAL], verification.rows(figures)))
        broken += [] if well else ["a good backup"]
    for what, (plant, units, names, words) in list(CASES.items())[: 1 if short else None]:
        say(f"verification: {what}")
        began = time.monotonic()
        seen = plant(proof)
        seconds = time.monotonic() - began
        if not caught(seen, units, names, words):
            broken.append(what)
        rows.append((what, " ".join(seen.units), " ".join(seen.alerts), f"{seconds:.0f}"))
        say(f"  {'caught' if what not in broken else 'NOT caught'}: {'; '.join(seen.status)[:300]}")
    say("verification: everything undone")
    figures, well = good(proof)
    broken += [] if well else ["everything undone"]
    print(table(["planted", "failed units", "alerts that hold", "seconds until seen"], rows))
    print(f"everything undone: {'good again, no failed unit, no alert' if well else 'NOT good'}")
    json_line({"good": figures, "planted": [list(row) for row in rows], "broken": broken})
    return 1 if broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OperatorError as error:
        sys.exit(f"proof-verification: {error}")
