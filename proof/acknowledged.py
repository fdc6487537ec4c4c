"""`make proof-acknowledged`: the service and PostgreSQL are killed hard under writes; what was acknowledged is there.

Writers post conversations through the stack's real URL while, on the machine, `sekha.service` and PostgreSQL's
postmaster get SIGKILL by turns (ROUNDS=6). A conversation counts as acknowledged when its POST was answered with 2xx.
At the end each of them is read back and its words compared. Runs against the local stack, which must be up.
"""

from __future__ import annotations

import itertools
import os
import ssl
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

import httpx

from ops.engine import LOCAL, OperatorError
from ops.local import engine_of
from ops.show import json_line, say, table
from ops.up import ssh_command
from proof.entry import finish
from proof.machine import remote

WRITERS = 4
ROUNDS = int(os.environ.get("ROUNDS", "6"))
WRITES_BETWEEN = 25  # acknowledged writes after each recovery before the next kill
RECOVERS_WITHIN = 120.0  # seconds from a kill to the next acknowledged write
VICTIMS = {
    "service": "systemctl kill --signal=KILL sekha.service",
    "PostgreSQL": "kill -9 $(head -1 /srv/sekha/postgresql/17/main/postmaster.pid)",
}


@dataclass
class Writers:
    """Threads that post conversations until told to stop."""

    url: str
    key: str = field(repr=False)
    ca_file: str | None
    acknowledged: dict[str, str] = field(default_factory=dict)  # id -> its words
    refused: int = 0
    times: list[float] = field(default_factory=list)  # of each acknowledgement

    def __post_init__(self) -> None:
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._write, daemon=True) for _ in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def client(self) -> httpx.Client:
        trust = ssl.create_default_context(cafile=self.ca_file)
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, verify=trust, headers=headers, timeout=15)

    def _write(self) -> None:
        with self.client() as sekha:
            while not self.stop.is_set():
                words = f"acknowledged {uuid.uuid4()}"
                body = {
                    "label": "proof",
                    "folder": "/proof-acknowledged",
                    "messages": [{"role": "user", "content": words}],
                }
                try:
                    answer = sekha.post("/api/v1/conversations", json=body)
                    made = answer.json()["id"] if answer.is_success else None
                except (httpx.HTTPError, ValueError, KeyError):
                    made = None
                with self.lock:
                    if made:
                        self.acknowledged[made] = words
                        self.times.append(time.monotonic())
                    else:
                        self.refused += 1
                if not made:
                    time.sleep(0.2)

    def count(self) -> int:
        with self.lock:
            return len(self.acknowledged)

    def gap(self, since: float) -> float:
        """The longest time without an acknowledgement after `since`, in seconds."""
        with self.lock:
            times = [since, *(at for at in self.times if at > since)]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    def wait(self, more: int) -> None:
        """Return when `more` further writes are acknowledged. Raises OperatorError when that takes too long."""
        began, wanted = time.monotonic(), self.count() + more
        while self.count() < wanted:
            if time.monotonic() - began > RECOVERS_WITHIN:
                raise OperatorError(f"no {more} writes were acknowledged within {RECOVERS_WITHIN:g} s")
            time.sleep(0.02)

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(60)


def missing(writers: Writers) -> tuple[list[str], Counter[int]]:
    """Ids of acknowledged conversations that are not there with their words, and how often reading was put off, by the
    answer's status: one that was refused (429, 5xx) says nothing of the data. Raises OperatorError when it stays so."""
    lost, put_off = list[str](), Counter[int]()
    with writers.client() as sekha:
        for number, words in writers.acknowledged.items():
            end = time.monotonic() + RECOVERS_WITHIN
            while (answer := sekha.get(f"/api/v1/conversations/{number}")).status_code not in (200, 404):
                put_off[answer.status_code] += 1
                if time.monotonic() > end:
                    raise OperatorError(f"conversation {number} can't be read: HTTP {answer.status_code}")
                time.sleep(0.2)
            if answer.status_code == 404 or [row["content"] for row in answer.json()["messages"]] != [words]:
                lost.append(number)
    return lost, put_off


def main() -> int:
    """Kill by turns under writes and count; 1 when an acknowledged conversation is missing."""
    engine = engine_of(LOCAL)
    outputs = engine.outputs()
    ssh = ssh_command(LOCAL, outputs)
    writers = Writers(outputs["url"], outputs["apiKey"], outputs.get("caFile") or None)
    rows: list[tuple[str, int, int, float]] = []
    try:
        writers.wait(WRITES_BETWEEN)
        for number in range(ROUNDS):
            name = list(VICTIMS)[number % len(VICTIMS)]
            before, refused, began = writers.count(), writers.refused, time.monotonic()
            remote(ssh, VICTIMS[name])
            writers.wait(WRITES_BETWEEN)
            outage = writers.gap(began)
            rows.append((f"{number + 1}. {name}", before, writers.refused - refused, outage))
            say(f"kill {number + 1} of {ROUNDS}: {name}, {before} acknowledged before; {outage:.1f} s without one")
    finally:
        writers.end()
    lost, put_off = missing(writers)
    print(table(["kill -9 of", "acknowledged before", "writes refused", "s without one"], rows))
    print(f"\n{writers.count()} conversations acknowledged, {writers.count() - len(lost)} present, {len(lost)} missing")
    if put_off:
        say("reads refused and tried again: " + ", ".join(f"{n} with HTTP {code}" for code, n in put_off.items()))
    figures = {"acknowledged": writers.count(), "missing": len(lost), "refused": writers.refused, "kills": len(rows)}
    json_line(figures)
    return 1 if lost else 0


if __name__ == "__main__":
    finish(main)
