"""`make bench-growth`: how much slower each operation is with 100,000 stored conversations than with 2,000.

Both databases run at once and take turns, several rounds of a second each, medians: what else the machine does then
hits both alike. Next to it the processor time of a request (workers, PostgreSQL and Chroma together), which other load
hardly changes. The aim, 1.5, is for get, create and unfiltered list and count.
"""

from __future__ import annotations

import argparse
import json
import os
from statistics import median
from typing import Any

from .data import Size, ids
from .load import Request, install_wrk, replay
from .operations import API, OPERATIONS
from .texts import Texts
from .world import World, cpu_of_all

AIM = 1.5
_AIMED = ("create", "get", "list", "count")
_PARTS = [Texts(4).word(rank)[:5] for rank in range(200, 400)]
_MORE: dict[str, list[Request]] = {
    "list by label": [("GET", f"{API}/conversations?label={part}", None) for part in _PARTS],
    "count by label": [("GET", f"{API}/conversations/count?label={part}", None) for part in _PARTS],
    "list by folder": [("GET", f"{API}/conversations?folder=/bench/{i}", None) for i in range(50)],
    "figures": [("GET", f"{API}/stats", None)],
    "figures of a folder": [("GET", f"{API}/stats?folder=/bench/{i}", None) for i in range(50)],
}


def _cpu(world: World) -> float:
    """Processor seconds of all that serves requests; not the feeder, which works on later."""
    return sum(map(cpu_of_all, (*world.workers, *world.others())))


def _row(name: str, clients: int, rates: list[list[float]], used: list[list[float]]) -> dict[str, Any]:
    before, after = (median(found[1:]) for found in rates)  # the first round warms up
    less, more = (median(found[1:]) for found in used)
    return {
        "operation": name,
        "clients": clients,
        "rates": [before, after],
        "cpu_ms": [less, more],
        "slower": before / after if after else float("inf"),
        "more_cpu": more / less if less else 1.0,
    }


def _line(row: dict[str, Any]) -> str:
    verdict = ("ok" if row["slower"] <= AIM else "SHORT") if row["operation"] in _AIMED else ""
    (before, after), (less, more) = row["rates"], row["cpu_ms"]
    return (
        f"{row['operation']:22} {row['clients']:7} {before:10.1f} {after:10.1f} {less:9.2f} {more:9.2f} "
        f"{row['slower']:7.2f} {row['more_cpu']:9.2f} {verdict}"
    )


def main() -> None:
    """Measure, print; with JSON=1 one JSON object as the last line."""
    parser = argparse.ArgumentParser(prog="bench-growth", description=__doc__)
    parser.add_argument("--conversations", type=int, nargs=2, default=[2000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--only", nargs="+", choices=[*OPERATIONS, *_MORE])
    options = parser.parse_args()
    install_wrk()
    small, large = (Size(number) for number in options.conversations)
    rows: list[dict[str, Any]] = []
    heads = [f"{size.conversations}{unit}" for unit in ("/s", " ms") for size in (small, large)]
    print(
        f"{'operation':22} {'clients':>7} {heads[0]:>10} {heads[1]:>10} {heads[2]:>9} {heads[3]:>9}  slower  more CPU"
    )
    with World.filled(small) as one, World.filled(large) as other:
        for world in (one, other):
            world.start(1)
        for name in options.only or [*OPERATIONS, *_MORE]:
            for clients in options.clients:
                rates: list[list[float]] = [[], []]
                used: list[list[float]] = [[], []]
                for turn in range(options.rounds + 1):
                    for which, (world, size) in enumerate(((one, small), (other, large))):
                        requests = _MORE[name] if name in _MORE else OPERATIONS[name].requests(ids(size), turn)
                        before = _cpu(world)
                        run = replay(world.service.url, requests, clients, 1)
                        rates[which].append(run.rate)
                        used[which].append((_cpu(world) - before) * 1000 / max(1, run.requests))
                        if name == "create":
                            world.drop_outbox()
                row = _row(name, clients, rates, used)
                rows.append(row)
                print(_line(row), flush=True)
    if os.environ.get("JSON") == "1":
        print(json.dumps({"aim": AIM, "conversations": options.conversations, "rows": rows}))


if __name__ == "__main__":
    main()
