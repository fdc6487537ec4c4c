"""`make bench-searchable`: messages accepted a second at 32 creating clients, next to those that become searchable.

A message is searchable by words with its create's answer, by meaning once Chroma has its vector. Shown: both rates
while clients create, and the rate of becoming searchable once they stop, which is the rate up to which creates may go
on for long (embedding has the machine to itself then).
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import psycopg

from .data import Size, ids
from .load import install_wrk, replay
from .operations import OPERATIONS
from .world import World

_CLIENTS, _SECONDS, _AFTER = 32, 15, 15
_COUNTS = (
    "SELECT (SELECT count(*) FROM messages WHERE embedding_id IS NOT NULL), (SELECT count(*) FROM vector_outbox), "
    "coalesce((SELECT extract(epoch FROM now() - min(created_at)) FROM vector_outbox), 0)"
)


def measure(world: World, size: Size) -> dict[str, Any]:
    """The figures, by name; `world` with the service running."""
    with psycopg.connect(world.url, autocommit=True) as connection:

        def counts() -> tuple[int, int, float]:
            row = connection.execute(_COUNTS).fetchone()
            assert row
            return int(row[0]), int(row[1]), float(row[2])

        before, started = counts()[0], time.monotonic()
        run = replay(world.service.url, OPERATIONS["create"].requests(ids(size), 5), _CLIENTS, _SECONDS)
        during, waiting, age = counts()
        middle = time.monotonic()
        time.sleep(_AFTER)
        after, left, _ = counts()
        return {
            "clients": _CLIENTS,
            "accepted messages a second": round(10 * run.rate),
            "searchable a second meanwhile": round((during - before) / (middle - started)),
            "searchable a second afterwards": round((after - during) / (time.monotonic() - middle)),
            "waiting in the outbox": waiting,
            "age of the oldest, s": round(age, 1),
            "left after 15 s": left,
            "p50 ms": round(run.p50, 1),
            "p99 ms": round(run.p99, 1),
            "p99 / p50": round(run.p99 / run.p50, 1),
            "errors": run.errors,
        }


def main() -> None:
    """Measure, print; with JSON=1 one JSON object as the last line."""
    install_wrk()
    size = Size(2000)
    with World.filled(size) as world:
        world.start(1)
        result = measure(world, size)
    for name, value in result.items():
        print(f"{name:32} {value}")
    if os.environ.get("JSON") == "1":
        print(json.dumps(result))


if __name__ == "__main__":
    main()
