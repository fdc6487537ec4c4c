"""Clients that write through a fault, and the comparison of what was acknowledged with what is there."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from tests.service.databases import Database
from tests.service.rig import API_KEY

MESSAGES = 3
NO_ANSWER = "no answer"


class Writers:
    """Clients that create until told to stop; each label is sent once. `pause`: seconds between a client's creates."""

    def __init__(self, url: str, label: str, threads: int = 8, pause: float = 0.0) -> None:
        self._url, self._label, self._pause, self._stop = url, label, pause, threading.Event()
        self.acknowledged: set[str] = set()
        self.errors: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(threads)
        self._running = [self._pool.submit(self._write, number) for number in range(threads)]

    def _write(self, thread: int) -> None:
        number = 0
        messages = [{"role": "user", "content": f"text {i}"} for i in range(MESSAGES)]
        with httpx.Client(base_url=self._url, headers={"X-API-Key": API_KEY}, timeout=30) as client:
            while not self._stop.is_set():
                number += 1
                body = {"label": f"{self._label} {thread} {number}", "messages": messages}
                try:
                    answer = client.post("/api/v1/conversations", json=body)
                except httpx.HTTPError:
                    self.errors[NO_ANSWER] += 1
                    time.sleep(0.02)
                    continue
                if answer.status_code == 201:
                    self.acknowledged.add(answer.json()["id"])
                else:
                    self.errors[str(answer.status_code)] += 1
                    self._stop.wait(0.05)
                self._stop.wait(self._pause)

    def stop(self) -> None:
        """End; raises what went wrong in a thread."""
        self._stop.set()
        for each in self._running:
            each.result(60)
        self._pool.shutdown()


@dataclass(frozen=True)
class Verdict:
    """Conversations acknowledged and present; acknowledged and not present; stored twice; without all messages."""

    acknowledged: int
    present: int
    lost: int
    twice: int
    half: int
    counters_off: int

    @property
    def good(self) -> bool:
        """Nothing lost, nothing twice, nothing half there, stored figures right."""
        return not (self.lost or self.twice or self.half or self.counters_off)


def compare(data: Database, acknowledged: set[str], label: str) -> Verdict:
    """What of the conversations labelled so is there. A request without an answer may have been stored."""
    text = "id" if data.is_sqlite else "id::text"
    rows = data.execute(f"SELECT {text}, label FROM conversations WHERE label LIKE '{label}%'")  # noqa: S608
    present = {row[0] for row in rows}
    messages = "(SELECT count(*) FROM messages m WHERE m.conversation_id = c.id)"
    half = data.execute(f"SELECT count(*) FROM conversations c WHERE message_count <> {messages}")  # noqa: S608
    counted = data.execute(
        "SELECT coalesce(sum(conversations), 0) - (SELECT count(*) FROM conversations) FROM counters"
    )
    return Verdict(
        len(acknowledged),
        len(present),
        len(acknowledged - present),
        len(rows) - len({row[1] for row in rows}),
        int(half[0][0]),
        abs(int(counted[0][0])),
    )
