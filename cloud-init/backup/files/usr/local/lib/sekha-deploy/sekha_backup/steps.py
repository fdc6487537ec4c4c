"""Small steps of a restore that every kind of database takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def folder(owner: str, mode: str, *paths: Path) -> None:
    """Make folders, with owner and mode (octal)."""
    for path in paths:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.chown(path, owner, owner)
        path.chmod(int(mode, 8))


def systemctl(verb: str, *units: str) -> None:
    """Raises subprocess.SubprocessError."""
    subprocess.run(["systemctl", verb, *units], check=True, timeout=300)
