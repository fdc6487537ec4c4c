"""SQLite off the event loop: several reading threads, and one writing thread that commits what waits together."""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ..errors import UnavailableError
from .sqlite_file import connect

_READ_SECONDS = 20.0  # below the clients' 30 s, as with PostgreSQL
_LOCK_SECONDS = 15.0  # how long a write waits for the writers of other processes
_MOST_WAITING = 2000
_MOST_TOGETHER = 64
_STEPS_BETWEEN_LOOKS = 100_000
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
_log = logging.getLogger("sekha.sqlite")


class Threads:
    """Runs functions on connections; each one is in a thread of its own. Raises errors.UnavailableError."""

    def __init__(self, path: Path, readers: int) -> None:
        self.path = path
        self._inode: int | None = None
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="sqlite-read")
        self._writes: queue.SimpleQueue[tuple[Work[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def open(self) -> None:
        """Start the writing thread."""
        self._inode = self.path.stat().st_ino
        self._writer = threading.Thread(target=self._write_forever, name="sqlite-write", daemon=True)
        self._writer.start()

    async def close(self) -> None:
        """Finish what waits, then close all connections."""
        if self._writer is not None:
            self._writes.put(None)
            await asyncio.to_thread(self._writer.join, 10)
        self._readers.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()

    def check_file(self) -> None:
        """Raise unless the file we have open is still the one at its path."""
        try:
            if self.path.stat().st_ino == self._inode:
                return
        except OSError:
            pass
        raise UnavailableError(f"The database file {self.path} was removed or replaced: restart the service")

    async def read(self, work: Work[T]) -> T:
        """`work(connection)` in one consistent view of the data."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def write(self, work: Work[T]) -> T:
        """`work(connection)` in a transaction, committed when this returns; undone when it raises."""
        if self._writes.qsize() >= _MOST_WAITING:
            raise UnavailableError("Too many writes are waiting, try again")
        future: Future[T] = Future()
        self._writes.put((work, future))
        return await asyncio.wrap_future(future)

    def _read(self, work: Work[T]) -> T:
        try:
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = connect(self.path, read_only=True)
                self._connections.append(connection)
            end = time.monotonic() + _READ_SECONDS
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _unavailable(error) from None

    def _write_forever(self) -> None:
        connection: sqlite3.Connection | None = None
        ending = False
        while not ending:
            batch = [self._writes.get()]
            while len(batch) < _MOST_TOGETHER and not self._writes.empty():
                batch.append(self._writes.get())
            ending = None in batch
            jobs = [job for job in batch if job is not None and job[1].set_running_or_notify_cancel()]
            if not jobs:
                continue
            try:
                if connection is None:
                    connection = connect(self.path)
                    self._connections.append(connection)
                _together(connection, jobs)
            except Exception as error:  # whatever it is, those who wait must learn it, and the thread lives on
                broken = isinstance(error, sqlite3.Error)
                if not (broken and _is_busy(error)):
                    _log.error("writing to %s failed: %s", self.path, error)
                for _, future in jobs:
                    if not future.done():
                        future.set_exception(_unavailable(error) if broken else error)


def _together(connection: sqlite3.Connection, jobs: list[tuple[Work[Any], Future[Any]]]) -> None:
    """All `jobs` in one transaction, each undone alone when it fails; answered only after the commit."""
    results: list[tuple[Future[Any], Any, BaseException | None]] = []
    _begin(connection)
    try:
        for work, future in jobs:
            connection.execute("SAVEPOINT job")
            try:
                results.append((future, work(connection), None))
            except sqlite3.OperationalError:  # a full disk, a broken file: it's everybody's
                raise
            except Exception as error:
                connection.execute("ROLLBACK TO job")
                results.append((future, None, error))
            connection.execute("RELEASE job")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    for future, result, failure in results:
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(result)


def _begin(connection: sqlite3.Connection) -> None:
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > end:
                raise


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _unavailable(error: Exception) -> UnavailableError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT or _is_busy(error):
        return UnavailableError("The database took too long, try again")
    return UnavailableError(f"The database cannot be used: {error}")
