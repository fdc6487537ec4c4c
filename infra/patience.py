"""Lets the Pulumi SDK wait without burning a core.

While a resource is being made, the SDK (3.220.0, runtime/stack.py, wait_for_rpcs) turns over its outstanding outputs
with `asyncio.sleep(0)`: one core at full load for as long as a release takes. On the local cloud that core is half of
what the booting machine has. Here every 64th turn rests for a moment instead (resting at each made the end of
a run, where many short outputs are turned over, seconds longer).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

from pulumi.runtime import stack

TURNS, REST = 64, 0.005  # a rest of so many seconds after so many turns, which take about 0.5 ms


def be_patient() -> None:
    """Replace the SDK's turns without a rest, in that one module only."""
    turns = itertools.count(1)

    def sleep(delay: float) -> Coroutine[Any, Any, None]:
        return asyncio.sleep(delay or (0 if next(turns) % TURNS else REST))

    patient = SimpleNamespace(**{**vars(asyncio), "sleep": sleep})
    stack.asyncio = patient  # type: ignore[attr-defined, assignment]
