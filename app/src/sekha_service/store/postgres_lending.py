"""Handing a pool's connections from one request straight to the next, without a trip through the pool.

The pool does what a pool is for: connecting, reconnecting, closing what is idle for long. Giving a connection back and
taking it again costs as much processor time there as a small query; here it costs a list's append and pop.
"""

import asyncio
from collections import deque
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

Connection = AsyncConnection[Any]
_KEEP_SECONDS = 1.0  # idle for longer, a connection goes back to the pool, which looks after it
_MOST_WAITING = 2000


class Lending:
    """Lends at most `most` connections of `pool` at a time; who waits gets them in the order of asking."""

    def __init__(self, pool: AsyncConnectionPool[Connection], most: int) -> None:
        self._pool, self._most = pool, most
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._taken = 0  # from the pool: idle here, in use, or asked for
        self._asking = 0
        self._keeper: asyncio.TimerHandle | None = None
        self._returning: asyncio.Task[None] | None = None

    async def take(self, seconds: float) -> Connection:
        """A connection, within `seconds`. Raises PoolTimeout, and TooManyRequests when too many wait already."""
        if self._idle:
            return self._idle.pop()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            if self._taken < self._most:
                return await self._ask(deadline - loop.time())
            if len(self._waiting) >= _MOST_WAITING:
                raise TooManyRequests(f"{_MOST_WAITING} requests wait for a connection already")
            place: asyncio.Future[Connection | None] = loop.create_future()
            self._waiting.append(place)
            timer = loop.call_at(deadline, _expire, place)
            try:
                connection = await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled() and place.exception() is None:
                    self._pass_on(place.result())  # it was handed over in the same moment
                raise
            finally:
                timer.cancel()
            if connection is not None:
                return connection

    async def give(self, connection: Connection) -> None:
        """Take back what `take` gave, whatever state it is in."""
        if self._asking or connection.pgconn.transaction_status != TransactionStatus.IDLE:
            await self._give_up(connection)  # the pool mends it, or has somebody waiting while it can't get another
        else:
            self._pass_on(connection)

    async def recall(self) -> None:
        """Give everything that is idle back to the pool."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await self._give_up(connection)

    def _pass_on(self, connection: Connection | None) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)
            if self._keeper is None:
                self._keeper = asyncio.get_running_loop().call_later(_KEEP_SECONDS, self._return_idle)

    def _return_idle(self) -> None:
        self._keeper = None
        self._returning = asyncio.create_task(self.recall())

    async def _ask(self, seconds: float) -> Connection:
        self._taken += 1
        self._asking += 1
        try:
            return await self._pool.getconn(seconds)
        except BaseException:
            self._taken -= 1
            self._pass_on(None)  # the next one may ask
            raise
        finally:
            self._asking -= 1

    async def _give_up(self, connection: Connection) -> None:
        self._taken -= 1
        try:
            await self._pool.putconn(connection)
        finally:
            self._pass_on(None)


def _expire(place: asyncio.Future[Connection | None]) -> None:
    if not place.done():
        place.set_exception(PoolTimeout("no connection became free"))
