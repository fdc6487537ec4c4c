"""The program must not burn a core while it waits for a resource."""

from __future__ import annotations

import asyncio
import inspect
import time

import pytest
from pulumi.runtime import stack

from infra.patience import be_patient


def test_the_sdk_still_turns_without_a_rest() -> None:
    """When an upgrade of the SDK mends this, infra/patience.py can go."""
    assert "await asyncio.sleep(0)" in inspect.getsource(stack.wait_for_rpcs)


def test_waiting_for_an_output_leaves_the_core_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "asyncio", asyncio)
    turns = 0

    async def wait(turn_for: float) -> None:
        nonlocal turns
        end = time.monotonic() + turn_for
        while time.monotonic() < end:
            await stack.asyncio.sleep(0)  # type: ignore[attr-defined]
            turns += 1

    asyncio.run(wait(0.2))
    busy, turns = turns, 0
    be_patient()
    asyncio.run(wait(0.2))
    assert turns * 5 < busy
