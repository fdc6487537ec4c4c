"""The pool of PostgreSQL connections: bounded waits, repeats after a lost connection, 503 when it stays away."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson
import psycopg
from psycopg import AsyncConnection, errors
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from ..errors import UnavailableError
from .postgres_lending import Lending

STATEMENT_TIMEOUT_MS = 20_000  # below the clients' 30 s
CONNECTION_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS}",
}
_LONGEST_WAIT = 10.0
_WAIT_WHEN_AWAY = 1.0
_ATTEMPTS = 4  # of a statement whose connection broke, while new connections can be had
T = TypeVar("T")

set_json_loads(orjson.loads)


class Pool:
    """Runs statements on pooled connections in autocommit mode: each statement is a transaction of its own."""

    def __init__(self, url: str, max_connections: int, acquire_seconds: float) -> None:
        """`acquire_seconds`: how long a request waits for a connection; at most 10 s, as clients give up at 30."""
        self._acquire_seconds = min(acquire_seconds, _LONGEST_WAIT)
        self._away = False
        self._pool = AsyncConnectionPool(
            url,
            kwargs={**CONNECTION_OPTIONS, "autocommit": True, "application_name": "sekha"},
            min_size=min(2, max_connections),
            max_size=max_connections,
            max_idle=300,
            reconnect_timeout=3,
            open=False,
        )
        self._lending = Lending(self._pool, max_connections)
        self._url = url
        self._probe: AsyncConnection[Any] | None = None

    async def open(self) -> None:
        """Start connecting in the background."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._lending.recall()
        await self._pool.close(timeout=2)
        if self._probe is not None:
            await self._probe.close()

    async def ping(self) -> None:
        """One round trip, on a connection of its own: a busy pool is no sign of a database that is away."""
        try:
            if self._probe is None or self._probe.closed:
                self._probe = await AsyncConnection.connect(
                    self._url,
                    **{**CONNECTION_OPTIONS, "connect_timeout": 2},
                    autocommit=True,
                    application_name="sekha-health",
                )
            await self._probe.execute("SELECT 1")
        except BaseException as error:  # also when cancelled at the check's bound: the connection may be stuck
            probe, self._probe = self._probe, None
            if probe is not None:
                await probe.close()
            if isinstance(error, psycopg.Error):
                raise UnavailableError(f"The database is not reachable: {str(error).strip()}") from None
            raise

    async def run(self, work: Callable[[AsyncConnection[Any], bool], Awaitable[T]]) -> T:
        """`work(connection, repeated)`; called again on a fresh connection when one broke.

        Raises errors.UnavailableError when the database is away, out of connections, or the statement takes too long.
        """
        for attempt in range(_ATTEMPTS):
            repeated = attempt > 0
            wait = _WAIT_WHEN_AWAY if self._away or repeated else self._acquire_seconds
            try:
                connection = await self._lending.take(wait)
                try:
                    result = await work(connection, repeated)
                finally:
                    await self._lending.give(connection)
                self._away = False
                return result
            except (PoolTimeout, TooManyRequests):
                full = not self._away and not repeated
                self._away = True
                raise UnavailableError(
                    "No database connection is free, try again" if full else "The database is not reachable, try again"
                ) from None
            except errors.QueryCanceled:
                raise UnavailableError("The database took too long, try again") from None
            except (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction):
                if attempt == _ATTEMPTS - 1:
                    self._away = True
                    raise UnavailableError("The database is not reachable, try again") from None
                await self._lending.recall()
                await self._pool.check()  # drops every connection that broke with this one
        raise AssertionError("not reached")

    async def fetch(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one statement that may be repeated without harm."""

        async def work(connection: AsyncConnection[Any], repeated: bool) -> list[tuple[Any, ...]]:
            return await (await connection.execute(sql.encode(), values)).fetchall()

        return await self.run(work)
