"""Floors: the least that an operation costs, measured in a process of its own on the service's core.

`python -m bench.service.floors health PORT`: a bare ASGI server. `... work CONFIG`: reads jobs from standard input, one
JSON object a line, does the same SQL through the driver (and embedding and Chroma, where the operation uses them), and
prints the figures of each as a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import uvicorn
import uvloop
from sekha_service.config import Config
from sekha_service.config_sources import load
from sekha_service.embed.minilm import MODEL, MiniLM
from sekha_service.index.chroma import ChromaIndex
from sekha_service.store.postgres_pool import CONNECTION_OPTIONS

from .load import Figures
from .recorded import Work, record
from .world import POOL

_RECORDED = 100
_BODY = b'{"status":"healthy"' + b"." * 300 + b"}"


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The smallest ASGI application: a fixed body of the size of /health's."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _BODY})


class Floor:
    """Does recorded work again, on as many connections as a worker has."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._model = MiniLM()
        self._index = ChromaIndex(config.chroma_url, config["chroma", "collection_name"], MODEL, MiniLM.dimension)
        self._works: list[Work] = []
        self._connections: list[psycopg.AsyncConnection[Any]] = []

    async def prepare(self, job: dict[str, Any]) -> None:
        """Note what {"requests": [...], "clients": n} make the service do; connect, and do it a few times: psycopg
        prepares a statement when a connection has run it five times.
        """
        self._works = await record(self._config, [tuple(each) for each in job["requests"][:_RECORDED]])
        for connection in self._connections:
            await connection.close()
        self._connections = [
            await psycopg.AsyncConnection.connect(self._config.database_url, **CONNECTION_OPTIONS, autocommit=True)
            for _ in range(min(job["clients"], POOL - 2))
        ]
        for connection in self._connections:
            for number in range(10):
                await self._do(self._works[number % len(self._works)], connection)

    async def measure(self, wanted: float) -> Figures:
        """Do it over and over, for `wanted` seconds."""
        works, connections = self._works, self._connections
        tasks = len(connections)
        times: list[float] = []
        started = time.perf_counter()
        end = started + wanted

        async def repeat(first: int, connection: psycopg.AsyncConnection[Any]) -> None:
            number = first
            while (begin := time.perf_counter()) < end:
                await self._do(works[number % len(works)], connection)
                times.append((time.perf_counter() - begin) * 1000)
                number += tasks

        await asyncio.gather(*(repeat(i, connection) for i, connection in enumerate(connections)))
        seconds = time.perf_counter() - started
        times.sort()
        p50, p95, p99 = (times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.95, 0.99))
        return Figures(len(times), seconds, p50, p95, p99, times[-1], 0)

    async def _do(self, work: Work, connection: psycopg.AsyncConnection[Any]) -> None:
        if work.embedded:
            vector = self._model.encode(work.embedded)[0]
            for ask in work.asked:
                await self._index.nearest(vector, ask)
        for sql, values in work.again():
            await (await connection.execute(sql, values)).fetchall()

    def embedding_ms(self, texts: list[str]) -> float:
        """Milliseconds to embed one of the texts, one at a time."""
        started = time.perf_counter()
        for text in texts:
            self._model.encode([text])
        return (time.perf_counter() - started) * 1000 / len(texts)


async def _work(config: Config) -> None:
    floor = Floor(config)
    for line in sys.stdin:
        job = json.loads(line)
        if "embed" in job:
            print(json.dumps({"milliseconds": floor.embedding_ms(job["embed"])}), flush=True)
        elif "requests" in job:
            await floor.prepare(job)
            print("{}", flush=True)
        else:
            print(json.dumps((await floor.measure(job["seconds"])).__dict__), flush=True)


def main() -> None:
    """See the module."""
    if sys.argv[1] == "health":
        uvicorn.run(bare, port=int(sys.argv[2]), http="httptools", loop="uvloop", log_level="error", access_log=False)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(load(Path(sys.argv[2]), os.environ, {})[0]))


if __name__ == "__main__":
    main()
