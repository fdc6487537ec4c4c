"""Restoring SQLite: at bring-up on a blank volume, or in place by an operator. Whole or not at all.

litestream downloads the newest whole copy of the stream and the changes since, beside the file's place; what is there
is checked and moved into place. A try that was killed begins anew. A time that is exactly a daily copy's takes that.
What was downloaded before the lease was ours is used only if nothing came to the stream since.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sekha_backup import copies, litestream, machine, stream
from sekha_backup.ahead import Prepared
from sekha_backup.bring_up import Database, Orders, Source, check_target, parse_target, source_place
from sekha_backup.lease import Lease, of_this_machine, say
from sekha_backup.machine import CHROMA, DATABASE, SQLITE, Place, RefusedError
from sekha_backup.repository import Backup
from sekha_backup.steps import folder, systemctl

RESTORING, TRIAL, BEFORE = SQLITE / "restoring", SQLITE / "trial", SQLITE / "before"
RESTORED = SQLITE / "restored.json"
# What belongs to the file that serves; itself the last, so that where it is, all is.
PARTS = ("sekha.db-wal", "sekha.db-shm", ".sekha.db-litestream", "sekha.db")


def has_data() -> bool:
    """Whether there is a database: SQLite makes the file empty, and its tables later."""
    return DATABASE.exists() and DATABASE.stat().st_size > 0


def backups(place: Place, config: Path = litestream.OWN) -> list[Backup]:
    """The stream's snapshots and the daily copies, oldest first. Raises RefusedError, OSError."""
    return sorted([*litestream.backups(config), *copies.backups(place)], key=lambda backup: backup.stop)


def choose_source(orders: Orders) -> Source:
    """The own backups; where there are none, those of restoreFrom."""
    place = machine.own_place()
    own = backups(place, litestream.OWN)
    if own or not orders.get("restore_from"):
        return Source(place.stack, (str(litestream.OWN),), own)
    other = source_place(orders)
    config = litestream.configure(other, litestream.SOURCE)
    return Source(other.stack, (str(config),), backups(other, config))


def prepare(source: Source) -> Prepared:
    """The newest state, downloaded and checked before the lease is ours; of what, and the report on it."""
    folder("sekha", "0700", SQLITE)
    say("downloading while the lease runs out")
    listing = litestream.listing(Path(*source.arguments))
    report = download(machine.own_place(), source, None, RESTORING)
    say("the stream is downloaded and checked")
    os.sync()  # now, when nobody waits for it
    return {"listing": listing, "report": report}


def discard() -> None:
    """Remove what `prepare` left: a copy of what is in the bucket."""
    shutil.rmtree(RESTORING, ignore_errors=True)


def restore(
    lease: Lease,
    source: Source,
    target: datetime.datetime | None,
    orders: Orders,
    prepared: Prepared | None = None,
) -> None:
    """Download and replay (unless it is `prepared`), check, move into place. The place must be free. Raises
    RefusedError."""
    if DATABASE.exists() and DATABASE.stat().st_size:
        raise RefusedError(f"{DATABASE} exists; a restore never goes over it")
    own = lease.bucket.place
    place = own if source.stack == own.stack else source_place(orders)
    folder("sekha", "0700", SQLITE)
    say(f"restoring stack {source.stack} to {target.isoformat() if target else 'its newest state'}")
    early = current(prepared, source, target)
    report = early or download(place, source, target, RESTORING)
    if target is None:
        missing(int(lease.look()[0].get("reached", 0)) if place is own else 0, RESTORING / DATABASE.name)
    shutil.rmtree(CHROMA, ignore_errors=True)  # another state's index: the service fills a new one from the database
    for name in PARTS[:-1]:
        remove(SQLITE / name)
    file = RESTORING / DATABASE.name
    shutil.chown(file, "sekha", "sekha")
    file.chmod(0o600)
    os.sync()
    lease.renew()  # LostError if this took so long that another machine took over: it must not serve then
    file.rename(DATABASE)
    shutil.rmtree(RESTORING)
    report |= {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "source": source.stack,
        "target": orders.get("restore_to") or "",
        "early": bool(early),
    }
    machine.write(RESTORED, json.dumps(report), 0o644)
    lease.renew(reached=stream.highest(DATABASE))  # of this state: a time before may have had more
    lease.bucket.put(own.prefix + "restored.json", json.dumps(report).encode())
    say(f"restored: {json.dumps(report)}")


def current(prepared: Prepared | None, source: Source, target: datetime.datetime | None) -> dict[str, Any]:
    """The report on what is `prepared`, if nothing came to the stream since; {} = that is not what would be downloaded
    now. Raises RefusedError."""
    if not prepared or target is not None or litestream.listing(Path(*source.arguments)) != prepared["listing"]:
        return {}
    report: dict[str, Any] = prepared["report"]
    return report


def download(place: Place, source: Source, target: datetime.datetime | None, into: Path) -> dict[str, Any]:
    """The database as of `target` as `into`/sekha.db, whole and checked; what it took. Raises RefusedError."""
    check_target(target, source.backups)
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(mode=0o700, parents=True)
    file, config = into / DATABASE.name, Path(*source.arguments)
    began = time.monotonic()
    copy = next((one for one in source.backups if one.kind == "copy" and one.stop == target), None)
    if copy:
        copies.bring(place, copy.label, file)
        label, last = f"copy {copy.label}", copy.label
    else:
        label, last = litestream.restore(config, target, file)
    downloaded = time.monotonic()
    found = copies.look(file)
    checked = time.monotonic()
    return {
        "backup": label,
        "last_transaction": last,
        "bytes": found["bytes"],
        "conversations": found["conversations"],
        # litestream replays while it downloads; what comes after is the check of the whole file
        "seconds": {"download": round(downloaded - began, 2), "replay": round(checked - downloaded, 2)},
    }


def missing(reached: int, file: Path) -> None:
    """litestream does not see that a piece of its stream is missing, and stops there: refuse a newest state that lacks
    messages which were in the bucket. Raises RefusedError."""
    found = stream.highest(file)
    if found < reached:
        raise RefusedError(
            f"the stream lacks changes that were in the bucket: it ends at message {found} of {reached} at "
            "least. Bring deleted objects back from their versions; or set sekha:restoreTo to a time (docs/backup.md)"
        )


def trial(target: str = "", keep: bool = False) -> dict[str, Any]:
    """Restore into a throw-away file beside the one that serves; what it took. With `keep` it stays in TRIAL."""
    place, when = machine.own_place(), parse_target(target)
    rows = backups(place)
    if not rows:
        raise RefusedError("the bucket holds no backup")
    try:
        return download(place, Source(place.stack, (str(litestream.OWN),), rows), when, TRIAL)
    finally:
        if not keep:
            shutil.rmtree(TRIAL, ignore_errors=True)


def in_place(target: str, typed: str) -> None:
    """`sekha-backup restore`: stop, set the present data aside, restore, permissions, start, verify.

    The data of before stays in /srv/sekha/sqlite/before until the next restore. Raises RefusedError with nothing
    changed when there is nothing to restore from; a restore that fails puts the data of before back.
    """
    place, orders = machine.own_place(), {**machine.orders(), "restore_to": target}
    if typed != place.stack:
        raise RefusedError(f"this replaces the data of stack {place.stack}; type its name: --confirm {place.stack}")
    when, rows = parse_target(target), backups(place)
    if not rows:
        raise RefusedError("the bucket holds no backup")
    check_target(when, rows)
    lease = of_this_machine()
    lease.renew()
    # litestream last: told to stop, it ships what is left.
    systemctl("stop", "sekha.service", "sekha-chroma.service")
    systemctl("stop", "sekha-litestream.service")
    RESTORING.mkdir(mode=0o700, exist_ok=True)  # while this is there, the service does not start: it would start empty
    if not DATABASE.exists():  # a try was killed
        move(BEFORE, SQLITE)
    if DATABASE.exists():
        if (BEFORE / DATABASE.name).exists():
            shutil.rmtree(BEFORE)
        move(SQLITE, BEFORE)
    try:
        restore(lease, Source(place.stack, (str(litestream.OWN),), rows), when, orders)
    except BaseException:
        if not DATABASE.exists():
            move(BEFORE, SQLITE)
        shutil.rmtree(RESTORING, ignore_errors=True)
        raise
    finally:
        folder("sekha-chroma", "0700", CHROMA)
        systemctl("start", "sekha-litestream.service", "sekha-chroma.service", "sekha.service")
    for check in ("check-sqlite", "check-chroma", "check-sekha"):
        subprocess.run([f"/usr/local/lib/sekha-deploy/{check}"], check=True, stdout=sys.stderr)
    say("verified: the service is healthy")


def move(source: Path, target: Path) -> None:
    """All that belongs to the database from one folder to the other; one that was killed is gone on with."""
    target.mkdir(mode=0o700, exist_ok=True)
    for name in PARTS:
        if (source / name).exists():
            remove(target / name)
            (source / name).rename(target / name)


def remove(path: Path) -> None:
    """Remove a file or folder that may be missing."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def adopt() -> None:
    """litestream finds out by itself where the stream goes on, or begins a new one. What is in place is whole, and a
    restore that was killed at its very end does not keep the service down."""
    shutil.rmtree(RESTORING, ignore_errors=True)


SQLITE_DATABASE = Database(litestream.configure, has_data, choose_source, prepare, discard, restore, adopt)
