"""`make bench-growth`: how much slower each operation is with 100,000 stored conversations than with 2,000.

Both databases run at once and take turns, several rounds of a second each, medians: what else the machine does then
hits both alike. The aim, 1.5, is for get, create and unfiltered list and count.
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
from .world import World

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
    print(f"{'operation':22} {'clients':>7} {small.conversations:>9}/s {large.conversations:>9}/s  slower")
    with World.filled(small) as one, World.filled(large) as other:
        for world in (one, other):
            world.start(1)
        for name in options.only or [*OPERATIONS, *_MORE]:
            for clients in options.clients:
                rates: list[list[float]] = [[], []]
                for turn in range(options.rounds + 1):
                    for world, size, found in ((one, small, rates[0]), (other, large, rates[1])):
                        requests = _MORE[name] if name in _MORE else OPERATIONS[name].requests(ids(size), turn)
                        found.append(replay(world.service.url, requests, clients, 1).rate)
                        if name == "create":
                            world.drop_outbox()
                before, after = (median(found[1:]) for found in rates)  # the first round warms up
                slower = before / after if after else float("inf")
                rows.append({"operation": name, "clients": clients, "before": before, "after": after, "ratio": slower})
                verdict = ("ok" if slower <= AIM else "SHORT") if name in _AIMED else ""
                print(f"{name:22} {clients:7} {before:11.1f} {after:11.1f} {slower:7.2f} {verdict}", flush=True)
    if os.environ.get("JSON") == "1":
        print(json.dumps({"aim": AIM, "conversations": options.conversations, "rows": rows}))


if __name__ == "__main__":
    main()
