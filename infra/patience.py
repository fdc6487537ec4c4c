"""Lets the Pulumi SDK wait without burning a core.

While a resource is being made, the SDK (3.220.0, runtime/stack.py, wait_for_rpcs) turns over its outstanding outputs
with `asyncio.sleep(0)`: one core at full load for as long as a release takes. On the local cloud that core is half of
what the booting machine has. Here each turn rests for a millisecond instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

from pulumi.runtime import stack

REST = 0.001  # seconds: too short to be noticed over a hundred outputs, long enough to leave the core to others


def be_patient() -> None:
    """Replace the SDK's turns without a rest, in that one module only."""

    def sleep(delay: float) -> Coroutine[Any, Any, None]:
        return asyncio.sleep(delay or REST)

    patient = SimpleNamespace(**{**vars(asyncio), "sleep": sleep})
    stack.asyncio = patient  # type: ignore[attr-defined]
