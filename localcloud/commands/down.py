"""`localcloud down`, and the lock that lets one `up` or `down` work at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from localcloud import preflight
from localcloud.commands.common import RefusedError, need_root, say, without_machines
from localcloud.machines import cleanup, process, whole
from localcloud.machines.paths import OWNER_FILE, Paths


def down(paths: Paths) -> int:
    """Power everything off and remove all of it from the host; data stays in the cache."""
    need_root(paths)
    other = None if without_machines(paths) else cleanup.living_other(paths)
    if other:  # names on the host are the same for all: ours would take its machines down, and not orderly
        raise RefusedError(preflight.another_runs(str(other)))
    began = time.monotonic()
    process.stop(paths.run / "daemon.pid", timeout=15)
    for name in ("port", "web-port"):
        (paths.run / name).unlink(missing_ok=True)
    if without_machines(paths):
        say("down; its state stays")
        return 0
    whole.shut_down(paths)
    cleanup.teardown(paths)
    left = cleanup.leftovers(paths)
    if left:
        raise RefusedError("left behind:\n" + "\n".join(left))
    say(f"down after {time.monotonic() - began:.1f} s; nothing left behind")
    return 0


@contextmanager
def alone() -> Iterator[None]:
    """One `up` or `down` at a time on the machine. The lock is on a folder that is there anyway: no file is left."""
    folder = os.open(OWNER_FILE.parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another `localcloud up` or `down` is under way; waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
