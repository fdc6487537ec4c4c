"""Which backup is restored, and its files on the disk: the newest that leads to what is asked for and is whole."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sekha_backup import holes, recovery, repository
from sekha_backup.bring_up import Source
from sekha_backup.lease import say
from sekha_backup.machine import RefusedError
from sekha_backup.recovery import Wanted
from sekha_backup.repository import Backup, RepositoryError

IN_FLIGHT = 8  # WAL files that may have travelled beside one that did not arrive: some go at once, in no order


@dataclass
class Fetched:
    """The backup that is on the disk now, how to go on with it, and those that were passed over: label -> why."""

    backup: Backup
    wanted: Wanted
    passed_over: dict[str, str] = field(default_factory=dict)
    early: bool = False  # its files were there already


def known(lease: dict[str, Any], repository_name: str) -> str:
    """The WAL file that the lease says was archived in this repository, "" = it says nothing."""
    return str(lease.get("wal") or "") if lease.get("repository") == repository_name else ""


def candidates(backups: Sequence[Backup], target: datetime.datetime | None) -> list[Backup]:
    """The backups that were complete before the target, newest first."""
    fitting = [backup for backup in backups if target is None or backup.stop <= target]
    return sorted(fitting, key=lambda backup: backup.stop, reverse=True)


def wanted(backup: Backup, archive: holes.Archive, target: datetime.datetime | None, known: str) -> Wanted:
    """How far to replay from a backup. Raises RefusedError when nothing can be replayed from it."""
    if not backup.wal_start:
        return Wanted(target, backup.stop)
    hole = holes.find(archive, backup.wal_start, known)
    if hole is None:
        return Wanted(target, backup.stop, archive.sums)
    named = holes.SEGMENT_NAME.fullmatch(hole.missing)
    if named and holes.number(hole.missing) <= holes.number(backup.wal_stop):
        raise RefusedError(f"{hole}, without which it is not consistent")
    sure = bool(known) and (not named or holes.number(hole.missing) <= holes.number(known))
    return Wanted(target, backup.stop, archive.sums, str(hole), bool(named) and not sure and hole.later < IN_FLIGHT)


def fetch(
    source: Source, target: datetime.datetime | None, folder: Path, newest_only: bool = False, have: str = ""
) -> Fetched:
    """The files of the right backup into `folder`. `have`: the backup whose files are there, whole, "" = none.

    A backup that is damaged is passed over for the one before, and that is said: the log from there on leads to the
    same state. With `newest_only` it is refused instead. Raises RefusedError when none can be used.
    """
    passed_over: dict[str, str] = {}
    for backup in candidates(source.backups, target):
        archive = holes.read(backup, source.arguments)
        if backup.wal_stop and holes.abandoned(archive, backup.wal_stop):
            passed_over[backup.label] = "a restore to an earlier time left it behind"
            continue
        try:
            how_far = wanted(backup, archive, target, source.known)
            early = backup.label == have
            if not early:
                have = ""  # another's are going there
                download(source, backup, target, folder)
        except RefusedError as error:
            if newest_only or (isinstance(error, RepositoryError) and not error.damaged):
                raise
            passed_over[backup.label] = str(error)
            say(f"backup {backup.label} can't be used, taking the one before: {error}")
        else:
            return Fetched(backup, how_far, passed_over, early)
    reasons = "; ".join(f"{label}: {why[:300]}" for label, why in passed_over.items())
    raise RefusedError(
        f"no backup can be restored ({reasons or 'none was complete before that time'}). Nothing was changed; earlier "
        "versions of the objects can be brought back: make undelete-backups (docs/backup.md)"
    )


def download(source: Source, backup: Backup, target: datetime.datetime | None, folder: Path) -> None:
    """The files of a backup into `folder`. Goes on where a killed try stopped. Raises RepositoryError."""
    recovery.end_leftovers(folder)
    if folder.exists() and not any((folder / name).exists() for name in ("PG_VERSION", "backup.manifest")):
        shutil.rmtree(folder)  # pgBackRest would not know it again
    fresh = not folder.exists()
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(folder, "postgres", "postgres")
    (folder / "postmaster.pid").unlink(missing_ok=True)
    # The set is named: pgBackRest would take another, with a warning, where none fits the target.
    how = [f"--set={backup.label}", f"--pg1-path={folder}", "--target-action=promote" if target else "--type=default"]
    if target:
        how = [*how, "--type=time", f"--target={target.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S.%f}+00"]
    delta = [] if fresh else ["--delta"]
    # Hasty: a try that a power cut ends is mended by checksum (--delta); a whole cluster is synced before it serves.
    repository.pgbackrest(*source.arguments, *how, *delta, "--archive-mode=preserve", "restore", hasty=True)
