"""Restoring PostgreSQL: at bring-up on a blank volume, or in place by an operator. Whole or not at all.

The cluster is restored beside its place, replayed and promoted there, and moved into place when it is complete. A try
that was killed is taken up again: what it had downloaded is checked by checksum and kept.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sekha_backup import machine, recovery, repository
from sekha_backup.bring_up import Database, Source, check_target, parse_target, source_place
from sekha_backup.lease import Lease, of_this_machine, say
from sekha_backup.machine import CHROMA, CLUSTERS, MAIN, RESTORED, RESTORING, TRIAL, RefusedError
from sekha_backup.repository import Backup
from sekha_backup.steps import folder, systemctl


def choose_source(orders: dict[str, Any]) -> Source:
    """The own backups; where there are none, those of restoreFrom. A stack that has its own goes on with them."""
    own, stack = repository.backups(), machine.own_place().stack
    if own or not orders.get("restore_from"):
        return Source(stack, (), own)
    arguments = repository.configure_source(source_place(orders))
    return Source(orders["restore_from"]["stack"], arguments, repository.backups(arguments))


def restore(lease: Lease, source: Source, target: datetime.datetime | None, orders: dict[str, Any]) -> None:
    """Download, replay, promote, move into place. The place must be free. Raises RefusedError."""
    check_target(target, source.backups)
    if MAIN.exists():
        raise RefusedError(f"{MAIN} exists; a restore never goes over it")
    folder("postgres", "0750", CLUSTERS.parent, CLUSTERS)
    _room(source.backups, RESTORING)
    began = time.monotonic()
    say(f"restoring stack {source.stack} to {target.isoformat() if target else 'its newest state'}")
    label = download(source, target, RESTORING)
    downloaded = time.monotonic()
    repository.ensure_stanza(RESTORING)
    size = _bytes(RESTORING)
    say(f"{size / 1e6:.0f} MB in {downloaded - began:.1f} s; replaying the archive")
    last = recovery.replay(RESTORING, orders.get("shared_buffers_mb", 128))
    (RESTORING / "postgresql.auto.conf").write_text("")  # pgBackRest's recovery settings have done their work
    timeline = recovery.control(RESTORING)[1]
    replayed = time.monotonic()
    shutil.rmtree(CHROMA, ignore_errors=True)  # another state's index: the service fills a new one from the database
    os.sync()
    RESTORING.rename(MAIN)
    report = {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "source": source.stack,
        "backup": label,
        "target": orders.get("restore_to") or "",
        "timeline": timeline,
        "last_transaction": last,
        "bytes": size,
        "seconds": {"download": round(downloaded - began, 2), "replay": round(replayed - downloaded, 2)},
    }
    machine.write(RESTORED, json.dumps(report), 0o644)
    lease.bucket.put(lease.bucket.place.prefix + "restored.json", json.dumps(report).encode())
    say(f"restored: {json.dumps(report)}")


def trial(target: str = "", keep: bool = False) -> dict[str, Any]:
    """Restore into a throw-away cluster beside the one that serves, leaving no trace in the archive; what it took.

    With `keep` the promoted, stopped cluster stays in TRIAL for the caller to look at. Raises RefusedError.
    """
    place, when, backups = machine.own_place(), parse_target(target), repository.backups()
    if not backups:
        raise RefusedError("the repository holds no backup")
    check_target(when, backups)
    shutil.rmtree(TRIAL, ignore_errors=True)
    _room(backups, TRIAL)
    try:
        began = time.monotonic()
        label = download(Source(place.stack, (), backups), when, TRIAL)
        downloaded, size = time.monotonic(), _bytes(TRIAL)
        last = recovery.replay(TRIAL, machine.orders().get("shared_buffers_mb", 128), archive=False)
        replayed = time.monotonic()
    except BaseException:
        shutil.rmtree(TRIAL, ignore_errors=True)
        raise
    if not keep:
        shutil.rmtree(TRIAL)
    return {
        "backup": label,
        "last_transaction": last,
        "bytes": size,
        "seconds": {"download": round(downloaded - began, 2), "replay": round(replayed - downloaded, 2)},
    }


def download(source: Source, target: datetime.datetime | None, folder: Path) -> str:
    """The files of the right backup into `folder`; returns its label. Goes on where a killed try stopped."""
    recovery.end_leftovers(folder)
    if folder.exists() and not any((folder / name).exists() for name in ("PG_VERSION", "backup.manifest")):
        shutil.rmtree(folder)  # pgBackRest would not know it again
    fresh = not folder.exists()
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(folder, "postgres", "postgres")
    (folder / "postmaster.pid").unlink(missing_ok=True)
    # Of backups made before the target the newest; pgBackRest would take another, with a warning, where none is.
    fitting = [backup for backup in source.backups if target is None or backup.stop <= target]
    label = max(fitting, key=lambda backup: backup.stop).label
    how = [f"--set={label}", f"--pg1-path={folder}", "--target-action=promote" if target else "--type=default"]
    if target:
        how = [*how, "--type=time", f"--target={target.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S.%f}+00"]
    delta = [] if fresh else ["--delta"]
    # Hasty: a try that a power cut ends is mended by checksum (--delta); a whole cluster is synced before it serves.
    repository.pgbackrest(*source.arguments, *how, *delta, "--archive-mode=preserve", "restore", hasty=True)
    return label


def _room(backups: Sequence[Backup], folder: Path) -> None:
    """Refuse a restore that the volume can't hold (the database, and a tenth for its log). Raises RefusedError."""
    need, free = max(backup.size for backup in backups) * 1.1, shutil.disk_usage(CLUSTERS).free
    have = _bytes(folder) if folder.exists() else 0
    if need > free + have:
        raise RefusedError(
            f"the backup needs {need / 1e9:.1f} GB and the volume has {free / 1e9:.1f} GB free: raise "
            "sekha:conversations, which sizes the volume"
        )


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def in_place(target: str, typed: str) -> None:
    """`sekha-backup restore`: stop, set the present data aside, restore, permissions, start, verify.

    The data of before stays beside it (main.before) until the next restore. Raises RefusedError with nothing changed
    when there is nothing to restore from; a restore that fails puts the data of before back.
    """
    place, orders = machine.own_place(), {**machine.orders(), "restore_to": target}
    if typed != place.stack:
        raise RefusedError(f"this replaces the data of stack {place.stack}; type its name: --confirm {place.stack}")
    when, backups = parse_target(target), repository.backups()
    if not backups:
        raise RefusedError("the repository holds no backup")
    check_target(when, backups)
    lease, before = of_this_machine(), CLUSTERS / "main.before"
    lease.renew()
    # The last WAL must be in the archive before the database goes away: a stop in order ships it.
    systemctl("stop", "sekha.service", "sekha-chroma.service", "postgresql@17-main.service")
    aside = MAIN.exists()
    if aside:
        if before.exists():
            shutil.rmtree(before)
        MAIN.rename(before)
    try:
        restore(lease, Source(place.stack, (), backups), when, orders)
    except BaseException:
        if aside and not MAIN.exists():
            before.rename(MAIN)
        raise
    finally:
        folder("sekha-chroma", "0700", CHROMA)
        systemctl("start", "postgresql@17-main.service", "sekha-chroma.service", "sekha.service")
    for check in ("check-postgres", "check-chroma", "check-sekha"):
        subprocess.run([f"/usr/local/lib/sekha-deploy/{check}"], check=True, stdout=sys.stderr)
    say("verified: the service is healthy")


def _configure(place: machine.Place) -> None:
    repository.configure(place)
    if shutil.which("pgbackrest") is None:
        raise RefusedError("pgbackrest is not installed")


POSTGRES = Database(_configure, lambda: (MAIN / "PG_VERSION").exists(), choose_source, restore, repository.know_main)
