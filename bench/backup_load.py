"""`make bench-backup-load`: how long clients wait while a full backup runs, next to without one, on a booted machine.

The stack `drill` is brought up and filled to SIZE MB. Then clients send RATE requests a second in all (a conversation
made, one read, one search, in turn): for SECONDS without a backup, for at least SECONDS while full backups run one
after the other, and for SECONDS without again. A request that queues behind a slow one waits from when it was due.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ops import up
from ops.drill import fill, load
from ops.drill.__main__ import begin, forget_state, service
from ops.drill.cloud import Cloud
from ops.engine import DRILL, OperatorError
from ops.local import engine_of
from ops.show import json_line, say, table

SIZE = int(os.environ.get("SIZE", "500"))
SECONDS = float(os.environ.get("SECONDS", "45"))
RATE = float(os.environ.get("RATE", "15"))  # requests a second, far below what the machine can do: waits, not queues
CLIENTS = 6
WARM = 5.0  # seconds of requests before anything counts
WORDS = ("coffee", "violin", "glacier", "sourdough", "bicycle", "octopus", "mortgage", "tomato")
KINDS = ("create", "get", "query")
BACKUP = "sekha-backup@full.service"


@dataclass
class Waits:
    """Seconds of the answered requests by kind, and how many failed."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    failed: int = 0


def quantile(values: list[float], share: float) -> float:
    """The nearest-rank quantile of seconds, in milliseconds; 0.0 of nothing."""
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000, 1) if ordered else 0.0


async def ask(url: str, key: str, done: Callable[[], bool]) -> Waits:
    """Requests at RATE until `done()`."""
    waits, numbers, began = Waits(), itertools.count(), time.monotonic()
    known = (await load.create_one(url, key)).id

    async def client() -> None:
        async with load.client(url, key) as sekha:
            while not done():
                number = next(numbers)
                due, kind, word = began + number / RATE, KINDS[number % 3], WORDS[number % len(WORDS)]
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                try:
                    if kind == "create":
                        await sekha.create_conversation(load.conversation(f"{word} number {number}"))
                    elif kind == "get":
                        await sekha.get_conversation(known)
                    else:
                        await sekha.query(f"what was said of the {word}?", limit=5)
                except Exception:
                    waits.failed += 1
                else:
                    waits.seconds[kind].append(time.monotonic() - due)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return waits


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Whether so long has passed since this call."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def figures(url: str, key: str) -> tuple[Waits, Waits, list[float]]:
    """What clients waited without and with backups running, and the seconds of each backup."""
    machine, over, backups = service()[2], threading.Event(), list[float]()
    asyncio.run(ask(url, key, for_seconds(WARM)))
    say(f"backup-load: {SECONDS:g} s without a backup")
    before = asyncio.run(ask(url, key, for_seconds(SECONDS)))
    troubles: list[OperatorError] = []

    def back_up() -> None:
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                began = time.monotonic()
                machine.run(f"systemctl start {BACKUP}", timeout=3600)
                backups.append(round(time.monotonic() - began, 1))
        except OperatorError as error:
            troubles.append(error)
        finally:
            over.set()

    say("backup-load: the same while full backups run")
    thread = threading.Thread(target=back_up)
    thread.start()
    during = asyncio.run(ask(url, key, over.is_set))
    thread.join()
    if troubles:
        raise troubles[0]
    say(f"backup-load: {SECONDS:g} s without a backup again")
    after = asyncio.run(ask(url, key, for_seconds(SECONDS)))
    for kind in KINDS:
        before.seconds[kind] += after.seconds[kind]
    before.failed += after.failed
    return before, during, backups


def main() -> None:
    """Bring up, fill, measure, print, remove."""
    begin({})
    up.up(DRILL)
    url, key, machine = service()
    machine.run("systemctl start sekha-first-backup.service", timeout=3600)
    fill.fill(machine, SIZE)
    fill.indexed_within(machine, 1200)
    without, during, backups = figures(url, key)
    rows, found = [], {}
    for kind in KINDS:
        quiet, busy = without.seconds[kind], during.seconds[kind]
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            a, b = quantile(quiet, share), quantile(busy, share)
            rows.append((kind, name, a, b, round(b / a, 2) if a else 0.0, f"{len(quiet)}, {len(busy)}"))
            found[f"{kind} {name}"] = {"without_ms": a, "during_ms": b, "ratio": rows[-1][4]}
    megabytes = round(fill.size(machine), 1)
    print(table(["request", "", "without, ms", "during a full backup, ms", "ratio", "requests"], rows))
    print(f"{len(backups)} full backups of {megabytes:g} MB in {', '.join(map(str, backups))} s; "
          f"failed requests: {without.failed} without, {during.failed} during")  # fmt: skip
    json_line({"size_mb": megabytes, "backups": backups, "waits": found, "failed": [without.failed, during.failed]})
    Cloud(DRILL).pull_plug()
    Cloud(DRILL).lose_everything()
    forget_state(engine_of(DRILL))


if __name__ == "__main__":
    try:
        main()
    except OperatorError as error:
        sys.exit(f"bench-backup-load: {error}")
