"""Horrors in the bucket: what lies there is damaged, cut short, missing, or the key to it is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from ops.backups import TOOL
from proof.horrors_rig import Outcome, Rig, changed, flipped, halved

CONFIG = "/etc/pgbackrest/conf.d/repository.conf"
LOCK = "/run/postgresql/pgbackrest/sekha-backup-1.lock"
ACCEPT = re.compile(r"sekha:restoreTo: ([^)]+)\)")


def bundles(rig: Rig, kind: str) -> list[str]:
    """The largest object of each backup of a kind (F, D), oldest first: files in bundles, or one file alone."""
    keys = [key for key in rig.keys("backup/") if re.search(rf"/([\d-]+F_)?[\d-]+{kind}/(bundle|pg_data)/", key)]
    head = rig.store.s3.head_object
    return [
        max(rows, key=lambda key: head(Bucket=rig.store.bucket, Key=key)["ContentLength"])
        for rows in (
            [key for key in keys if key.split("/")[5] == label] for label in sorted({k.split("/")[5] for k in keys})
        )
    ]


@contextmanager
def all_changed(rig: Rig, keys: list[str], change: Callable[[bytes], bytes] | None) -> Iterator[None]:
    """These objects of the bucket with other content meanwhile; None: deleted."""
    with ExitStack() as stack:
        for key in keys:
            stack.enter_context(changed(rig.store, key, change))
        yield


def corrupted(rig: Rig) -> Iterator[Outcome]:
    """One bit of a backup is another, or its upload was cut short."""
    rows = rig.write()
    rig.run("systemctl start sekha-first-backup.service sekha-backup@diff.service")
    rows = rig.write()
    rig.blank()
    full = bundles(rig, "F")  # a stack that other horrors were done to has several
    with all_changed(rig, full, flipped):
        yield rig.refused(
            "one bit of each full backup is another, and all others need them",
            rig.bring_up(),
            "no backup can be restored",
        )
    with all_changed(rig, full, halved):
        yield rig.refused("half of each full backup's file is there", rig.bring_up(), "no backup can be restored")
    for what, change in (("one bit of the newest backup is another", flipped), ("half of its file is there", halved)):
        with changed(rig.store, bundles(rig, "D")[-1], change):
            yield rig.restored(what, rig.bring_up(), rows, "taking the one before")
        rig.blank()
    yield rig.restored("the backups are whole again", rig.bring_up(), rows)


def truncated(rig: Rig) -> Iterator[Outcome]:
    """The upload of a WAL file was cut short, or a backup's killed."""
    rig.run("systemctl start sekha-first-backup.service")
    rows = rig.write()
    middle = rig.segments()[-1]
    rows = rig.write()
    rig.blank()
    with changed(rig.store, middle, halved):
        yield rig.refused("half of a WAL file is there", rig.bring_up(), "can't be had")
    with changed(rig.store, middle, flipped):
        yield rig.refused("one bit of a WAL file is another", rig.bring_up(), "can't be had")
    yield rig.restored("the WAL file is whole again", rig.bring_up(), rows)
    rig.attempt(
        "(setpriv --reuid=postgres --regid=postgres --init-groups pgbackrest --stanza=sekha --type=full backup & "
        "pid=$!; sleep 2; kill -9 $pid; wait $pid); "
        f"flock -w 60 {LOCK} true"  # its helpers hold that until they see that nobody listens
    )
    rows = rig.write()
    rig.blank()
    yield rig.restored("a full backup was killed in the middle of its upload", rig.bring_up(), rows)
    code, said = rig.attempt(f"systemctl start sekha-backup@diff.service && {TOOL} trial")
    served, right = rig.all_served(rows)
    yield Outcome("the next day's backup after that, and a trial restore", said[-300:], served, code == 0 and right)


def missing_wal(rig: Rig) -> Iterator[Outcome]:
    """A WAL file is not there, and later ones are."""
    rig.run("systemctl start sekha-first-backup.service")
    before = rig.write()
    hole = rig.segments()[-1]
    rows = rig.write()
    known = rig.segments()[-1]
    rig.known_within(known)
    rig.blank()  # what that writes itself goes into the archive, too
    last = [key for key in rig.segments() if key.rpartition("/")[2] >= known.rpartition("/")[2]]
    with all_changed(rig, last, None):
        yield rig.refused(
            "the last WAL files are missing, of which the lease knows one", rig.bring_up(), "archived once"
        )
    with changed(rig.store, hole, None):
        result = rig.bring_up()
        yield rig.refused("a WAL file in the middle is missing", result, "the archive lacks")
        found = ACCEPT.search(result[1])
        code, said = rig.attempt(f"{TOOL} trial --to {found[1] if found else '?'}")
        served, nothing = rig.nothing_served()
        yield Outcome("the loss is accepted: a trial restore to the time that was told", said[-300:], served,
                      code == 0 and "is lost" in said and nothing and rows > before)  # fmt: skip
    yield rig.restored("the WAL files are there again", rig.bring_up(), rows)


def one_hole(rig: Rig) -> Iterator[Outcome]:
    """The shortest horror, for CI: a WAL file is missing, then there again."""
    rows = rig.write()
    key = rig.segments()[-1]
    rig.known_within(key)
    rig.blank()
    with changed(rig.store, key, None):
        yield rig.refused("a WAL file is missing", rig.bring_up(), "the archive lacks")
    yield rig.restored("it is there again", rig.bring_up(), rows)


def wrong_key(rig: Rig) -> Iterator[Outcome]:
    """The repository's passphrase is another one."""
    rows = rig.rows()
    change = f"sed -i.kept 's/^repo1-cipher-pass=.*/repo1-cipher-pass=wrong/' {CONFIG}"
    code, said = rig.attempt(f"{change}; {TOOL} trial; code=$?; mv {CONFIG}.kept {CONFIG}; exit $code")
    served, right = rig.all_served(rows)
    line = said.splitlines()[-1] if said else ""
    yield Outcome(
        "a passphrase that does not open the repository", line, served, code != 0 and "wrong key" in said and right
    )
