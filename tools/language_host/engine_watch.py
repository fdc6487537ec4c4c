"""Ends a plugin's process when the engine that started it is gone, even by `kill -9`."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable


def watch_engine(gone: Callable[[], None]) -> None:
    """Call `gone` from a thread of its own as soon as the process that started this one has ended."""
    engine = os.getppid()
    try:
        pidfd = os.pidfd_open(engine)
    except ProcessLookupError:
        gone()
        return

    def wait() -> None:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)  # a pidfd is readable once its process has ended
        poll.poll()
        gone()

    threading.Thread(target=wait, name="engine-watch", daemon=True).start()


def end_process_group() -> None:
    """End this process, and the ones it started if it leads a process group (the engine gives each plugin its own)."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGTERM)
    os._exit(1)
