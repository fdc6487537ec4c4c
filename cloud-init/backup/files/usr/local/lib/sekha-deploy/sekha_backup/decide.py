"""What to do about the database at bring-up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sekha_backup.machine import RefusedError


class Action(Enum):
    """ADOPT the data that is there, RESTORE from backups, or START an empty database."""

    ADOPT = "adopt"
    RESTORE = "restore"
    START = "start"


@dataclass(frozen=True)
class Facts:
    """`mode`: auto or never; `has_data`: a whole cluster is on the volume; `backups`: the repository to restore from
    holds some; `had_data`: this stack once made a backup; `asked`: restoreFrom or restoreTo is set; `fenced`: who took
    the lease away from the data that is here, "" = nobody did; `branched`: somebody once did, and the repository that
    went on without this data is the one that the stack key opens."""

    mode: str
    has_data: bool
    backups: bool
    had_data: bool
    asked: bool = False
    fenced: str = ""
    branched: bool = False


def decide(facts: Facts) -> Action:
    """The one place that knows when backups are restored. Raises RefusedError."""
    if facts.fenced:
        raise RefusedError(
            f"the data on this volume lost its lease to {facts.fenced}: it may lack what was written since. Attach a "
            "blank volume to restore the backups; or, to serve this data all the same, stop the other machine, remove "
            "/srv/sekha/fenced.json, and begin a new repository (make rotate KEY=stack): the archive has gone on "
            "without this data, and a later restore would follow it"
        )
    if facts.has_data and facts.branched:
        raise RefusedError(
            "the data on this volume once lost their lease, and the repository that this stackKey opens has gone on "
            "without them: what they write would not come back from it. Begin a new one: make rotate KEY=stack"
        )
    if facts.has_data:
        return Action.ADOPT
    if facts.mode == "never":
        return Action.START
    if facts.backups:
        return Action.RESTORE
    if facts.asked:
        raise RefusedError("sekha:restoreFrom or sekha:restoreTo is set and there is no backup to restore from")
    if facts.had_data:
        raise RefusedError(
            "this stack has had backups and the repository that its stackKey opens is empty: not starting with an "
            "empty database. After a rotation of stackKey, give back the key of before; else bring the object versions "
            "back (docs/backup.md); or set sekha:restore to never to begin anew"
        )
    return Action.START
