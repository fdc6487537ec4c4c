"""`python -m bench.localcloud.floor PORT`: the HTTP server of the local cloud's API, answering a constant.

The path says what: /BYTES is a body of that size; /BYTES/commit writes one row into an SQLite file first, durably, as
whoever acknowledges a change has to. The file is bench-floor.db in the working folder.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool


class Floor:
    """A bare ASGI application."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("bench-floor.db", check_same_thread=False, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS t (v TEXT)"
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        _, size, *commit = scope["path"].split("/")
        if commit:
            await receive()
            await run_in_threadpool(self._db.execute, "INSERT INTO t VALUES (?)", ("x" * 300,))
        headers = [(b"content-type", b"application/json"), (b"content-length", size.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b" " * int(size)})


if __name__ == "__main__":
    uvicorn.run(Floor(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
