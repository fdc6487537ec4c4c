"""`make bench-workers`: two workers on two cores next to one worker on one core.

Three ways in turn, several short rounds, medians: everything (service, PostgreSQL, Chroma, load) on one core with one
worker; the one worker alone kept on one core; everything on two cores with two workers. The aim, 1.4, is for the last
against the first: on a machine of two cores the others take their share of both.
"""

from __future__ import annotations

import json
import os
from statistics import median
from typing import Any

from .data import Size, ids
from .load import install_wrk, replay
from .operations import OPERATIONS
from .world import World, family, on_core, pin

_ROUNDS, _SECONDS, _CLIENTS = 3, 2, 16
_AIM = 1.4
_ONLY = ("health", "create", "get", "list", "count", "query, repeated")


def _round(world: World, size: Size, workers: int, *, crowded: bool) -> dict[str, float]:
    """Requests a second of each operation. `crowded`: all processes on the worker's core."""
    service = world.start(workers)
    everything = [*family(world.pid), *world.others()]
    for pid in everything if crowded else world.others():
        pin(pid, everywhere=not crowded)
    rates = {}
    for name in _ONLY:
        requests = OPERATIONS[name].requests(ids(size), 11)
        replay(service.url, requests[:100], _CLIENTS, 1)
        if crowded:
            with on_core():
                rates[name] = replay(service.url, requests, _CLIENTS, _SECONDS).rate
        else:
            rates[name] = replay(service.url, requests, _CLIENTS, _SECONDS).rate
        world.drop_outbox()
    return rates


def main() -> None:
    """Measure, print; with JSON=1 one JSON object as the last line."""
    install_wrk()
    size = Size(2000)
    ways: dict[str, list[dict[str, float]]] = {"one core": [], "one worker": [], "two": []}
    with World.filled(size) as world:
        for _ in range(_ROUNDS):
            ways["one core"].append(_round(world, size, 1, crowded=True))
            ways["one worker"].append(_round(world, size, 1, crowded=False))
            ways["two"].append(_round(world, size, 2, crowded=False))
    rows: list[dict[str, Any]] = []
    print(
        f"{'operation':18} {'all on one core':>15} {'one worker':>10} {'two on two':>10} {'/ core':>6} {'/ worker':>8}"
    )
    for name in _ONLY:
        one, worker, two = (median(each[name] for each in ways[way]) for way in ways)
        row = {"operation": name, "one_core": one, "one_worker": worker, "two": two}
        rows.append({**row, "ratio": two / one, "ratio_to_worker": two / worker})
        verdict = "ok" if two / one >= _AIM else "SHORT"
        print(f"{name:18} {one:15.0f} {worker:10.0f} {two:10.0f} {two / one:6.2f} {two / worker:8.2f} {verdict}")
    if os.environ.get("JSON") == "1":
        print(json.dumps({"rounds": _ROUNDS, "clients": _CLIENTS, "aim": _AIM, "rows": rows}))


if __name__ == "__main__":
    main()
