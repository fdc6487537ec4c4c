"""The parent process: forks the feeder and the workers, replaces those that die, passes signals on.

The children end at once when the parent is gone, so that killing it kills the service.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from . import logs

_SETTLED = 3.0  # seconds after which a child has begun its work
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_log = logging.getLogger("sekha")


class Children:
    """Child processes, each with a name and a function that is its whole life and returns its exit code."""

    def __init__(self, lives: Mapping[str, Callable[[], int]], buried: Callable[[int], object]) -> None:
        """`buried` is told the process id of each child that ended."""
        self._lives, self._buried = lives, buried
        self._running: dict[int, tuple[str, float]] = {}
        self._stopping = False
        self._alive, self._held = os.pipe()  # the parent holds the end that nobody writes to: it closes with the parent

    def run(self) -> int:
        """Until SIGTERM or SIGINT has ended all children; returns the exit code.

        A child that fails before any has begun its work ends all, with its exit code: the service can't start, and
        who started it is to know.
        """
        result, settled = 0, False
        gc.freeze()
        for number in _HANDLED:
            signal.signal(number, self._pass_on)
        for name in self._lives:
            self._start(name)
        while self._running:
            pid, status = os.waitpid(-1, 0)
            name, started = self._running.pop(pid, ("", 0.0))
            self._buried(pid)
            settled = settled or time.monotonic() - started > _SETTLED
            code = os.waitstatus_to_exitcode(status)
            if not self._stopping and code > 0 and not settled:
                _log.error("%s (process %d) ended (%s) at its start; giving up", name, pid, code)
                result = code
                self._pass_on(signal.SIGTERM, None)
            if not self._stopping:
                _log.error("%s (process %d) ended (%s); starting another", name, pid, code)
                time.sleep(max(0.0, 1.0 - (time.monotonic() - started)))
            if not self._stopping:
                self._start(name)
        return result

    def _pass_on(self, number: int, _: object) -> None:
        if number == signal.SIGHUP:
            logs.reopen()
        else:
            self._stopping = True
        for pid in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _start(self, name: str) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        pid = os.fork()
        if pid == 0:
            self._live(name)
        self._running[pid] = name, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)

    def _live(self, name: str) -> None:
        code = 1
        try:
            os.close(self._held)
            Path("/proc/self/comm").write_text(f"sekha-{name.split()[0]}")
            for number in _HANDLED:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            code = self._lives[name]()
        except BaseException:
            _log.exception("%s (process %d) failed", name, os.getpid())
        finally:
            logging.shutdown()
            os._exit(code)

    def die_with_parent(self) -> None:
        """For a child's event loop: end this process at once when the parent is gone."""
        asyncio.get_running_loop().add_reader(self._alive, os._exit, 1)
