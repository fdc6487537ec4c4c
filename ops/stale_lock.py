"""What a killed `pulumi` left in the file:// state backend: without this, every later `up` would be refused."""

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


def drop_torn_sidecars(state: Path) -> list[str]:
    """Remove the half-written `.attrs` files beside the stacks' states in the backend folder `state`.

    The engine replaces a state in one step, but writes what it notes beside it (content type, checksum) in place:
    killed in between it leaves an empty file, over which it then stumbles with `EOF`. Without the file it reads the
    state as it is. Of a stack that is locked nothing is touched. Returns a line for each.
    """
    root, said = state / ".pulumi", []
    for path in (*root.glob("*.attrs"), *root.glob("stacks/**/*.attrs")):
        stack = path.name.partition(".json")[0]
        if whole(path) or any(root.glob(f"locks/**/{stack}/*.json")):
            continue
        path.unlink(missing_ok=True)
        said.append(f"removed {path.name}, which a pulumi that was killed had half written")
    return said


def whole(path: Path) -> bool:
    """Whether a file holds JSON; one that has gone meanwhile needs nothing."""
    try:
        json.loads(path.read_text())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True
