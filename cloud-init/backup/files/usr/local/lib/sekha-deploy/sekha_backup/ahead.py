"""What a restore does before the lease is its own: it reads the bucket, and writes beside the place that is served.

Nothing of it counts until the lease is won: then the bucket is looked at again, and what is here is used only where it
is what would be downloaded now. When the lease is not won, it is stopped and thrown away.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sekha_backup.lease import say
from sekha_backup.machine import RefusedError

Prepared = dict[str, Any]  # what a kind of database needs to know its own work again; {}: nothing was prepared
LOOK = 0.2  # seconds between two looks whether a stopped one has ended


class Ahead:
    """One piece of work in the background."""

    def __init__(self, work: Callable[[], Prepared]) -> None:
        self.work, self.found, self.stopped = work, Prepared(), threading.Event()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.found = self.work()
        except (RefusedError, OSError, subprocess.SubprocessError) as error:
            if not self.stopped.is_set():  # with the lease it is tried again, and what fails then is the answer
                say(f"the early download failed, it is begun anew with the lease: {error}")

    def result(self) -> Prepared:
        """Wait for its end; what it prepared, {} when it failed or never began."""
        if self.thread:
            self.thread.join()
        return self.found

    def stop(self) -> bool:
        """End it, with the programs it runs; whether it had begun. Nothing of it runs any more after that."""
        if self.thread is None:
            return False
        self.stopped.set()
        while self.thread.is_alive():
            for child in _children(self.thread):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self.thread.join(LOOK)
        return True


def _children(thread: threading.Thread) -> list[int]:
    """The processes that a thread of ours started (proc(5), task/TID/children)."""
    path = Path(f"/proc/self/task/{thread.native_id}/children")
    with contextlib.suppress(OSError):  # it has ended
        return [int(number) for number in path.read_text().split()]
    return []
