"""The program must not burn a core while it waits for a resource."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from pulumi.runtime import stack

from infra import patience


def test_the_sdk_still_turns_without_a_rest() -> None:
    """When an upgrade of the SDK mends this, infra/patience.py can go."""
    assert "await asyncio.sleep(0)" in inspect.getsource(stack.wait_for_rpcs)


def test_every_so_many_turns_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "asyncio", asyncio)
    slept: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(delay: float) -> None:
        slept.append(delay)
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    patience.be_patient()

    async def turn() -> None:
        for _ in range(2 * patience.TURNS):
            await stack.asyncio.sleep(0)  # type: ignore[attr-defined]
        await stack.asyncio.sleep(3)  # type: ignore[attr-defined]

    asyncio.run(turn())
    rests = [patience.REST if number % patience.TURNS == 0 else 0 for number in range(1, 2 * patience.TURNS + 1)]
    assert slept == [*rests, 3]
