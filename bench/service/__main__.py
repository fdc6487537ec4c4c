"""`make bench-service`: what the service does a second, next to the least it could cost. See README.md here."""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
from typing import Any

from .data import Size, ids
from .floor_process import BareServer, FloorProcess
from .load import Figures, install_wrk, replay, together
from .operations import OPERATIONS, Operation
from .show import say, table
from .texts import Texts
from .world import World, cpu_seconds, memory_mb


def main() -> None:
    """Measure what the arguments ask for, print the table; with JSON=1 one JSON object as the last line."""
    options = _options()
    install_wrk()
    result: dict[str, Any] = {"rows": []}
    for conversations in options.conversations:
        size = Size(conversations, vectors=options.vectors)
        with World.filled(size) as world:
            _measure(world, size, options, result)
    print(table(result["rows"]))
    for key, value in result.items():
        if key != "rows":
            print(f"{key}: {value}")
    if os.environ.get("JSON") == "1":
        print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-service", description=__doc__)
    parser.add_argument("--conversations", type=int, nargs="+", default=[2000, 100_000])
    parser.add_argument("--vectors", type=int, default=100_000, help="at most so many messages have a vector")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 32])
    parser.add_argument(
        "--rounds", type=int, default=5, help="of each operation: service and floor in turn, a second or a few each"
    )
    parser.add_argument("--only", nargs="+", choices=list(OPERATIONS), default=list(OPERATIONS))
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    if min(options.conversations) < 1 or not 1 <= options.rounds <= 60 or max(options.clients) > 256:
        parser.error("--conversations from 1, --rounds 1 to 60, --clients up to 256")
    return options


def _measure(world: World, size: Size, options: argparse.Namespace, result: dict[str, Any]) -> None:
    conversations = ids(size)
    service = world.start(options.workers)
    result[f"memory idle MB at {size.conversations}"] = round(memory_mb(world.pid))
    with FloorProcess(service.config) as floor, BareServer() as bare:
        texts = Texts(99)
        cost = floor.ask({"embed": [texts.text(8) for _ in range(100)]})["milliseconds"]
        result[f"embedding of a query ms at {size.conversations}"] = round(cost, 2)
        for name in options.only:
            operation = OPERATIONS[name]
            for clients in options.clients:
                row = _row(world, operation, conversations, clients, options.rounds, floor, bare)
                result["rows"].append({"operation": name, "stored": size.conversations, "clients": clients, **row})
                say(table(result["rows"][-1:]).splitlines()[-1])
    result[f"memory MB after load at {size.conversations}"] = round(memory_mb(world.pid))


def _row(
    world: World,
    operation: Operation,
    ids: list[Any],
    clients: int,
    rounds: int,
    floor: FloorProcess,
    bare: BareServer,
) -> dict[str, Any]:
    """Service and floor in turn, a second or a few each: what else the machine does falls on both."""
    requests = operation.requests(ids, random.randrange(2**31))
    replay(world.service.url, requests[:100], clients, 1)  # warm: connections, prepared statements, pages
    if operation.name == "health":
        least_pid = bare.pid
        replay(bare.url, requests, clients, 1)
    else:
        least_pid = floor.pid
        floor.ask({"requests": operation.requests(ids, random.randrange(2**31))[:100], "clients": clients})
    seconds = operation.seconds
    served, least = [], []
    cpu = [0.0, 0.0]
    share = max(1, len(requests) // rounds)
    for number in range(rounds):
        before = cpu_seconds(world.workers)
        served.append(replay(world.service.url, requests[number * share :][:share] or requests, clients, seconds))
        between = cpu_seconds(world.workers), cpu_seconds([least_pid])
        if operation.name == "health":
            least.append(replay(bare.url, requests, clients, seconds))
        else:
            least.append(Figures(**floor.ask({"seconds": seconds})))
        cpu[0] += between[0] - before
        cpu[1] += cpu_seconds([least_pid]) - between[1]
        world.drop_outbox()  # so that embedding what was just created doesn't run into the next measurement
    figures, lowest = together(served), together(least)
    ratios = [one.rate / two.rate for one, two in zip(served, least, strict=True) if two.rate]
    return {
        "service": figures.as_json(),
        "floor": lowest.as_json(),
        "aim": operation.aim,
        "ratio": round(statistics.median(ratios), 3) if ratios else 0.0,
        "ratios": [round(ratio, 3) for ratio in ratios],
        "cpu_ms": round(cpu[0] * 1000 / max(1, figures.requests), 3),
        "floor_cpu_ms": round(cpu[1] * 1000 / max(1, lowest.requests), 3),
        "memory_mb": round(memory_mb(world.pid)),
    }


if __name__ == "__main__":
    main()
