"""Restoring PostgreSQL: at bring-up on a blank volume, or in place by an operator. Whole or not at all.

The cluster is restored beside its place, replayed and promoted there, and moved into place when it is complete. A try
that was killed is taken up again: what it had downloaded is checked by checksum and kept. Only the download may begin
before the lease is ours: the replay reads the archive to its end, and the promotion writes to it.
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
from sekha_backup.ahead import Prepared
from sekha_backup.bring_up import Database, Source, check_target, parse_target, source_place
from sekha_backup.fetch import fetch, known
from sekha_backup.lease import Lease, of_this_machine, say
from sekha_backup.machine import CHROMA, CLUSTERS, MAIN, RESTORED, RESTORING, TRIAL, RefusedError
from sekha_backup.recovery import Replay
from sekha_backup.repository import Backup
from sekha_backup.steps import folder, systemctl


def own_source() -> Source:
    """The stack's own backups. Raises RefusedError, and OSError when the bucket is away: the lease's reader says that
    within seconds, pgBackRest after minutes."""
    lease = of_this_machine()
    state, _ = lease.look()
    place = lease.bucket.place
    return Source(place.stack, (), repository.backups(), known(state, place.named("postgres")))


def choose_source(orders: dict[str, Any]) -> Source:
    """The own backups; where there are none, those of restoreFrom. A stack that has its own goes on with them."""
    own = own_source()
    if own.backups or not orders.get("restore_from"):
        return own
    arguments = repository.configure_source(source_place(orders))
    return Source(orders["restore_from"]["stack"], arguments, repository.backups(arguments))


def prepare(source: Source) -> Prepared:
    """The files of the newest backup, before the lease is ours; which backup, and the seconds it took."""
    _make_room(source)
    began = time.monotonic()
    say("downloading while the lease runs out")
    label = fetch(source, None, RESTORING).backup.label
    seconds = time.monotonic() - began
    say(f"backup {label} is downloaded")
    os.sync()  # now, when nobody waits for it
    return {"label": label, "seconds": seconds}


def discard() -> None:
    """Remove what `prepare` left: a copy of what is in the bucket."""
    recovery.end_leftovers(RESTORING)
    shutil.rmtree(RESTORING, ignore_errors=True)


def restore(
    lease: Lease,
    source: Source,
    target: datetime.datetime | None,
    orders: dict[str, Any],
    prepared: Prepared | None = None,
) -> None:
    """Download (unless it is `prepared`), replay, promote, move into place. The place must be free. Raises
    RefusedError."""
    check_target(target, source.backups)
    _make_room(source)
    began = time.monotonic()
    say(f"restoring stack {source.stack} to {target.isoformat() if target else 'its newest state'}")
    fetched = fetch(source, target, RESTORING, have=(prepared or {}).get("label", ""))
    downloaded = time.monotonic()
    seconds = prepared["seconds"] if prepared and fetched.early else downloaded - began
    repository.ensure_stanza(RESTORING)
    size = _bytes(RESTORING)
    lease.renew()  # LostError likewise: it must not be promoted then
    say(f"{size / 1e6:.0f} MB in {seconds:.1f} s; replaying the archive")
    last, lost = recovery.replay(Replay(RESTORING, orders.get("shared_buffers_mb", 128)), fetched.wanted)
    if lost:
        say(f"not all could be restored: {lost}")
    (RESTORING / "postgresql.auto.conf").write_text("")  # pgBackRest's recovery settings have done their work
    timeline = recovery.control(RESTORING)[1]
    replayed = time.monotonic()
    shutil.rmtree(CHROMA, ignore_errors=True)  # another state's index: the service fills a new one from the database
    os.sync()
    lease.renew()  # LostError if another machine took over meanwhile: this one must not serve then
    RESTORING.rename(MAIN)
    report = {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "source": source.stack,
        "backup": fetched.backup.label,
        "passed_over": fetched.passed_over,
        "lost": lost,
        "target": orders.get("restore_to") or "",
        "timeline": timeline,
        "last_transaction": last,
        "bytes": size,
        "early": fetched.early,
        "seconds": {"download": round(seconds, 2), "replay": round(replayed - downloaded, 2)},
    }
    machine.write(RESTORED, json.dumps(report), 0o644)
    lease.bucket.put(lease.bucket.place.prefix + "restored.json", json.dumps(report).encode())
    say(f"restored: {json.dumps(report)}")


def trial(target: str = "", keep: bool = False) -> dict[str, Any]:
    """Restore into a throw-away cluster beside the one that serves, leaving no trace in the archive; what it took.

    With `keep` the promoted, stopped cluster stays in TRIAL for the caller to look at. Raises RefusedError.
    """
    when, source = parse_target(target), own_source()
    if not source.backups:
        raise RefusedError("the repository holds no backup")
    check_target(when, source.backups)
    shutil.rmtree(TRIAL, ignore_errors=True)
    _room(source.backups, TRIAL)
    try:
        began = time.monotonic()
        fetched = fetch(source, when, TRIAL, newest_only=True)
        downloaded, size = time.monotonic(), _bytes(TRIAL)
        replaying = Replay(TRIAL, machine.orders().get("shared_buffers_mb", 128), archive=False)
        last, lost = recovery.replay(replaying, fetched.wanted)
        replayed = time.monotonic()
    except BaseException:
        shutil.rmtree(TRIAL, ignore_errors=True)
        raise
    if not keep:
        shutil.rmtree(TRIAL)
    return {
        "backup": fetched.backup.label,
        "last_transaction": last,
        "lost": lost,
        "bytes": size,
        "seconds": {"download": round(downloaded - began, 2), "replay": round(replayed - downloaded, 2)},
    }


def _make_room(source: Source) -> None:
    """The folder for the restored cluster. Raises RefusedError where a cluster is in place, or the volume too small."""
    if MAIN.exists():
        raise RefusedError(f"{MAIN} exists; a restore never goes over it")
    folder("postgres", "0750", CLUSTERS.parent, CLUSTERS)
    _room(source.backups, RESTORING)


def _room(backups: Sequence[Backup], folder: Path) -> None:
    """Refuse a restore that the volume can't hold (the database, and a tenth for its log). Raises RefusedError."""
    need, free = max(backup.size for backup in backups) * 1.1, shutil.disk_usage(CLUSTERS).free
    have = _bytes(folder) if folder.exists() else 0
    if need > free + have:
        raise RefusedError(
            f"the backup needs {need / 1e6:,.0f} MB and the volume has {free / 1e6:,.0f} MB free: raise "
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
    lease, before = of_this_machine(), CLUSTERS / "main.before"
    when, source = parse_target(target), own_source()
    if not source.backups:
        raise RefusedError("the repository holds no backup")
    check_target(when, source.backups)
    lease.renew()
    # The last WAL must be in the archive before the database goes away: a stop in order ships it.
    systemctl("stop", "sekha.service", "sekha-chroma.service", "postgresql@17-main.service")
    aside = MAIN.exists()
    if aside:
        if before.exists():
            shutil.rmtree(before)
        MAIN.rename(before)
    try:
        restore(lease, source, when, orders)
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


def _has_data() -> bool:
    return (MAIN / "PG_VERSION").exists()


POSTGRES = Database(_configure, _has_data, choose_source, prepare, discard, restore, repository.know_main)
