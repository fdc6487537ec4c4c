"""Helpers shared by all tests."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TIED = ("setpriv", "--pdeathsig", "KILL")  # before a command: it ends when the process that started it does


def wait_for(condition: Callable[[], T], timeout: float, what: str, interval: float = 0.1) -> T:
    """Call `condition` until it returns something truthy and return that.

    `timeout` and `interval` are seconds. Raises AssertionError naming `what` when the time is up.
    """
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(interval)


def alone(module: str, *arguments: str) -> list[str]:
    """The command that runs a module in a network namespace of its own, as long as whoever started it lives."""
    return [*TIED, "unshare", "--net", sys.executable, "-m", module, *arguments]
