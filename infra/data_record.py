"""What the bucket remembers of a machine's data: `generations/NODE`, beside the generation. Pure.

It lies where no lost machine or volume can take it along, and the machines' key can't write it. `device` is the data
volume's device of the last release that served; `ended` says that these data were given up on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.restore_settings import POSTGRES

Record = Mapping[str, Any]


class LostDataError(Exception):
    """The data that the stack had are not on the volume that the machine has."""


def volume_of(device: str) -> str:
    """The volume's id in its device path (/dev/disk/by-id/scsi-0HC_Volume_ID); "" for none."""
    return device.rpartition("_")[2] if device else ""


def expects(record: Record, device: str, restorable: bool = False) -> str:
    """What the machine is told about `device`: "new" (it may be blank), "expected" (it must hold the data already) or
    "restore" (it holds them, or the backups are restored onto it): it never starts with an empty database by mistake.

    `restorable`: the bucket holds backups, and restoring them is allowed. Raises LostDataError when the data were on
    another device and can't be restored.
    """
    last = record.get("device", "")
    if not last or record.get("ended"):
        return "new"
    if restorable:
        return "restore"
    if last != device:
        raise LostDataError(
            f"the data were on volume {volume_of(last)} (generation {record.get('served')}), and this machine has "
            f"volume {volume_of(device) or 'none'}; not starting with an empty database"
        )
    return "expected"


def refuse_other_kind(record: Record, database: str) -> None:
    """Raises LostDataError when the stack's data are in another kind of database than is wanted now."""
    there = record.get("database", POSTGRES)
    if record.get("device") and not record.get("ended") and there != database:
        raise LostDataError(
            f"sekha:database is {database}, and this stack's data are in {there}: nothing was changed. Set it back to "
            f"{there}; to move to {database}, make a new stack and bring the data over (docs/backup.md)"
        )


def published(record: Record, generation: int) -> dict[str, Any]:
    """The record once `generation` is published."""
    return {**record, "generation": generation}


def served(record: Record, generation: int, device: str, database: str = POSTGRES) -> dict[str, Any]:
    """The record once `generation` serves from `device`, its data in `database`."""
    kept = {key: value for key, value in record.items() if key != "ended"}
    return {**kept, "generation": generation, "device": device, "served": generation, "database": database}


def ended(record: Record) -> dict[str, Any]:
    """The record once the data were given up on purpose."""
    return {**record, "ended": True}
