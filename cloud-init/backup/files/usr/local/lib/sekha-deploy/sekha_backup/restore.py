"""Restoring: at bring-up on a blank volume, or in place by an operator. Whole or not at all.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sekha_backup import files, machine, recovery, repository
from sekha_backup.decide import Action, Facts, decide
from sekha_backup.lease import Lease, of_this_machine, say
from sekha_backup.machine import CHROMA, CLUSTERS, FENCED, HOLDER, MAIN, RESTORED, RESTORING, TRIAL, RefusedError
from sekha_backup.repository import Backup


@dataclass(frozen=True)
class Source:
    """Whose backups: `stack`, and the arguments that make pgBackRest read them ([]: the own ones)."""

    stack: str
    arguments: Sequence[str]
    backups: Sequence[Backup]


def choose_source(orders: dict[str, Any]) -> Source:
    """The own backups; where there are none, those of restoreFrom. A stack that has its own goes on with them."""
    place = machine.own_place()
    own, other = repository.backups(), orders.get("restore_from")
    if own or not other:
        return Source(place.stack, (), own)
    secrets = machine.read(machine.RUN / "secrets.json")
    try:
        access, secret, stack_key = (secrets[f"restore{name}Key"] for name in ("Access", "Secret", "Stack"))
    except KeyError as error:
        raise RefusedError(f"the secret {error} of sekha:restoreFrom did not come with the release") from None
    bucket = dict(other["bucket"])
    if authority := bucket.pop("ca"):
        bucket["ca_file"] = str(machine.RUN / "restore-ca.pem")
        machine.write(Path(bucket["ca_file"]), authority, 0o644)
    arguments = repository.configure_source(
        machine.place(other["stack"], bucket, lambda: (access, secret, {}), stack_key)
    )
    return Source(other["stack"], arguments, repository.backups(arguments))


def parse_target(text: str) -> datetime.datetime | None:
    """A time in ISO 8601; without an offset it is UTC. "" = None. Raises RefusedError."""
    if not text:
        return None
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(f"{text!r} is no time; write it like 2026-11-23T14:05:00+00:00") from None
    return when if when.tzinfo else when.replace(tzinfo=datetime.UTC)


def check_target(target: datetime.datetime | None, backups: Sequence[Backup]) -> None:
    """Refuse a time that no backup reaches: before the first was complete, or in the future."""
    if target is None:
        return
    first = min(backup.stop for backup in backups)
    if target < first:
        raise RefusedError(
            f"{target.isoformat()} is before the first backup was complete ({first.isoformat()}): "
            "choose that time or a later one"
        )
    now = datetime.datetime.now(datetime.UTC)
    if target > now:
        raise RefusedError(f"{target.isoformat()} is in the future (it is {now.isoformat(timespec='seconds')})")


def bring_up() -> None:
    """The stage `restore`: decide, hold the lease, restore what is to be restored. Raises RefusedError, OSError."""
    place, orders, lease = machine.own_place(), machine.orders(), of_this_machine()
    repository.configure(place)
    if shutil.which("pgbackrest") is None:
        raise RefusedError("pgbackrest is not installed")
    has_data = (MAIN / "PG_VERSION").exists()
    fenced = str(machine.read(FENCED).get("holder", ""))
    source = Source(place.stack, (), ()) if has_data else choose_source(orders)
    state, _ = lease.look()
    asked = bool(orders.get("restore_from") or orders.get("restore_to"))
    had_data = bool(state.get("data")) or machine.had_data()
    facts = Facts(orders.get("restore", "auto"), has_data, bool(source.backups), had_data, asked, fenced)
    action = decide(facts)
    if action is Action.ADOPT and HOLDER.exists():
        lease.heir_of = HOLDER.read_text()
    lease.take()
    if action is Action.RESTORE:
        target = _target_once(lease, orders)
        with lease.kept():
            restore(lease, source, target, orders)
    elif action is Action.ADOPT:
        repository.know_main()
    elif source.backups:
        say(f"restore is never: starting empty beside {len(source.backups)} backups of before")
    machine.write(HOLDER, lease.holder, 0o644)
    if place.stack == source.stack and files.bring_back(place):
        say("Caddy's certificates and keys are back")


def _target_once(lease: Lease, orders: dict[str, Any]) -> datetime.datetime | None:
    """The time of restoreTo, unless a restore to it was carried out already: what came after must not be lost then."""
    text = orders.get("restore_to") or ""
    answer = lease.bucket.get(lease.bucket.place.prefix + "restored.json")
    if text and answer.status == 200 and json.loads(answer.body).get("target") == text:
        say(f"sekha:restoreTo {text} was carried out before: restoring the newest instead; take it out of the config")
        orders["restore_to"] = ""
        return None
    return parse_target(text)


def restore(lease: Lease, source: Source, target: datetime.datetime | None, orders: dict[str, Any]) -> None:
    """Download, replay, promote, move into place. The place must be free. Raises RefusedError."""
    check_target(target, source.backups)
    if MAIN.exists():
        raise RefusedError(f"{MAIN} exists; a restore never goes over it")
    _folder("postgres", "0750", CLUSTERS.parent, CLUSTERS)
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
    _systemctl("stop", "sekha.service", "sekha-chroma.service", "postgresql@17-main.service")
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
        _folder("sekha-chroma", "0700", CHROMA)
        _systemctl("start", "postgresql@17-main.service", "sekha-chroma.service", "sekha.service")
    for check in ("check-postgres", "check-chroma", "check-sekha"):
        subprocess.run([f"/usr/local/lib/sekha-deploy/{check}"], check=True, stdout=sys.stderr)
    say("verified: the service is healthy")


def _folder(owner: str, mode: str, *paths: Path) -> None:
    for path in paths:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.chown(path, owner, owner)
        path.chmod(int(mode, 8))


def _systemctl(verb: str, *units: str) -> None:
    subprocess.run(["systemctl", verb, *units], check=True, timeout=300)
