"""Connections handed from one request to the next: never more than allowed, in order, none lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sekha_service.store.postgres_lending import Lending

from tests.service.rig import Postgres

Pool = AsyncConnectionPool[AsyncConnection[Any]]


@asynccontextmanager
async def lending(url: str, most: int) -> AsyncIterator[tuple[Lending, Pool]]:
    pool: Pool = AsyncConnectionPool(url, min_size=1, max_size=most, kwargs={"autocommit": True}, open=False)
    await pool.open()
    it = Lending(pool, most)
    try:
        yield it, pool
    finally:
        await it.recall()
        await pool.close()


async def _in_order(url: str) -> None:
    async with lending(url, 2) as (it, _):
        first, second = await it.take(5), await it.take(5)
        got: list[int] = []

        async def wait(number: int) -> None:
            connection = await it.take(5)
            got.append(number)
            await it.give(connection)

        waiting = [asyncio.create_task(wait(number)) for number in range(5)]
        await asyncio.sleep(0)
        assert not got
        await it.give(first)
        await asyncio.gather(*waiting)
        assert got == [0, 1, 2, 3, 4]
        await it.give(second)


async def _late(url: str) -> None:
    async with lending(url, 1) as (it, _):
        held = await it.take(5)
        with pytest.raises(PoolTimeout):
            await it.take(0.05)
        await it.give(held)
        assert await it.take(0.05) is held, "who gave up waiting took nothing with him"
        await it.give(held)


async def _cancelled(url: str) -> None:
    async with lending(url, 1) as (it, _):
        held = await it.take(5)
        waiting = asyncio.create_task(it.take(5))
        await asyncio.sleep(0)
        await it.give(held)  # handed over, but cancelled before it runs again
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await it.take(0.05) is held
        await it.give(held)


async def _broken(url: str) -> None:
    async with lending(url, 1) as (it, _):
        held = await it.take(5)
        await held.close()
        waiting = asyncio.create_task(it.take(5))
        await asyncio.sleep(0)
        await it.give(held)
        fresh = await waiting
        assert not fresh.closed
        await it.give(fresh)


async def _open_transaction(url: str) -> None:
    async with lending(url, 1) as (it, _):
        held = await it.take(5)
        await held.execute("BEGIN")
        await it.give(held)
        again = await it.take(5)
        assert again.info.transaction_status.name == "IDLE"
        await it.give(again)


async def _idle(url: str) -> None:
    async with lending(url, 1) as (it, pool):
        await it.give(await it.take(5))
        assert pool.get_stats()["pool_available"] == 0
        await it.recall()
        assert pool.get_stats()["pool_available"] == 1
        await it.give(await it.take(5))


@pytest.mark.parametrize("case", [_in_order, _late, _cancelled, _broken, _open_transaction, _idle])
def test_lending(postgres: Postgres, case: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(case(postgres.url))
