"""What is planted to see whether verification catches it; each is undone before its function returns."""

from __future__ import annotations

import time
from collections.abc import Callable

from infra import backups
from ops.drill import fill
from ops.engine import OperatorError
from proof.verification_rig import RECORD, Proof, Seen

ROWS, LAG, DRAINED = 20, 120, 120  # rows written; seconds of lag that are too much; seconds to catch up
WRITE = (
    "INSERT INTO conversations (id, label, message_count) SELECT gen_random_uuid(), 'verification', 1 "
    'FROM generate_series(1, {rows}); INSERT INTO messages (id, conversation_id, seq, role, content, "timestamp") '
    "SELECT gen_random_uuid(), id, 0, 'user', 'a lighthouse in the fog', now() FROM conversations c WHERE label = "
    "'verification' AND NOT EXISTS (SELECT FROM messages WHERE conversation_id = c.id);"
)
ARCHIVER = "pgrep -u postgres -f 'postgres: .*archiver'"


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
