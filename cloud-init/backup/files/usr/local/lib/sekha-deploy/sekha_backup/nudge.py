"""archive_timeout in force from the start.

PostgreSQL's checkpointer starts while the database still recovers, looks at archive_timeout only when it does not, and
so first sleeps for a whole checkpoint_timeout (checkpointer.c, CheckpointerMain): after each start or crash of the
database nothing would reach the archive for a quarter of an hour. A SIGHUP wakes it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from sekha_backup import machine

TITLE = "checkpointer"
nudged = 0


def checkpointer(main: Path = machine.MAIN, proc: Path = Path("/proc")) -> int:
    """The process id of the cluster's checkpointer; 0 while it is not up and ready."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (main / "postmaster.pid").read_text().splitlines()
        if lines[7].strip() != "ready":
            return 0
        postmaster = int(lines[0])
        for child in (proc / f"{postmaster}/task/{postmaster}/children").read_text().split():
            if TITLE in (proc / child / "cmdline").read_text():
                return int(child)
    return 0


def nudge() -> None:
    """Wake a checkpointer that was not woken yet."""
    global nudged
    found = checkpointer()
    if found and found != nudged:
        os.kill(found, signal.SIGHUP)
        nudged = found
