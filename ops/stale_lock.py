"""Locks that a killed `pulumi` left in the file:// state backend: without this, every later `up` would be refused."""

from __future__ import annotations

import json
import socket
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether process `pid` runs and is a pulumi (the number may have been given to another program since)."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "pulumi"
    except OSError:
        return False


def break_stale(state: Path, stack: str) -> list[str]:
    """Remove the locks on `stack` in the backend folder `state` whose process was on this host and is gone.

    Returns a line for each. A lock of another host, or one that can't be read, stays: the engine names it.
    """
    said = []
    for path in (state / ".pulumi" / "locks").glob(f"**/{stack}/*.json"):
        try:
            lock = json.loads(path.read_text())
            host, pid = lock["hostname"], int(lock["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if host == socket.gethostname() and not alive(pid):
            path.unlink(missing_ok=True)
            said.append(f"removed the lock of a pulumi that ended without doing so (process {pid})")
    return said
