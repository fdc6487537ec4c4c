"""Small steps of a restore that every kind of database takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from sekha_backup.machine import RefusedError

SPARE = 0.05  # of the volume: what backups and their verification leave to the database that serves


def folder(owner: str, mode: str, *paths: Path) -> None:
    """Make folders, with owner and mode (octal)."""
    for path in paths:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.chown(path, owner, owner)
        path.chmod(int(mode, 8))


def room(need: float, where: Path) -> None:
    """Refuse to put `need` bytes where less than SPARE of the file system would stay free. Raises RefusedError."""
    disk = shutil.disk_usage(where)
    if need > disk.free - disk.total * SPARE:
        raise RefusedError(
            f"{need / 1e9:.1f} GB are needed and the volume has {disk.free / 1e9:.1f} GB free, of which "
            f"{disk.total * SPARE / 1e9:.1f} GB stay with the database: raise "
            "sekha:conversations, which sizes the volume"
        )


def systemctl(verb: str, *units: str) -> None:
    """Raises subprocess.SubprocessError."""
    subprocess.run(["systemctl", verb, *units], check=True, timeout=300)
