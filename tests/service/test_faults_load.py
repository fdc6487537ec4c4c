"""Faults under load: every acknowledged conversation is there, none is there twice, nothing is half there."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.service.cutting_proxy import CuttingProxy
from tests.service.databases import Database, Postgres
from tests.service.rig import API_KEY, Chroma, Service
from tests.support import wait_for

_MARKER = "cut-me"
SETTINGS = "[server]\nworkers = 2\n[rate_limiting]\nenabled = false\n"


class Writers:
    """Clients that create until told to stop; each label is sent once."""

    def __init__(self, service: Service, label: str, threads: int = 8) -> None:
        self._url, self._label, self._stop = service.url, label, threading.Event()
        self.acknowledged: set[str] = set()
        self.refused = 0
        self._pool = ThreadPoolExecutor(threads)
        self._running = [self._pool.submit(self._write, number) for number in range(threads)]

    def _write(self, thread: int) -> None:
        number = 0
        messages = [{"role": "user", "content": f"text {i}"} for i in range(3)]
        with httpx.Client(base_url=self._url, headers={"X-API-Key": API_KEY}, timeout=30) as client:
            while not self._stop.is_set():
                number += 1
                body = {"label": f"{self._label} {thread} {number}", "messages": messages}
                try:
                    answer = client.post("/api/v1/conversations", json=body)
                except httpx.HTTPError:
                    continue
                if answer.status_code == 201:
                    self.acknowledged.add(answer.json()["id"])
                else:
                    assert answer.status_code == 503, answer.text
                    self.refused += 1
                    time.sleep(0.05)

    def stop(self) -> None:
        """End; raises what went wrong in a thread."""
        self._stop.set()
        for each in self._running:
            each.result(60)
        self._pool.shutdown()


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[CuttingProxy]:
    it = CuttingProxy(postgres.folder / ".s.PGSQL.5432", _MARKER.encode())
    yield it
    it.close()


@pytest.fixture
def fresh(tmp_path: Path, postgres: Postgres, chroma: Chroma, proxy: CuttingProxy) -> Iterator[Service]:
    name = postgres.url.partition("@/")[2].partition("?")[0]
    it = Service(tmp_path, f"postgresql://sekha@127.0.0.1:{proxy.port}/{name}", chroma.port, SETTINGS)
    it.start()
    yield it
    it.stop()


def _kill_worker(service: Service, _: Postgres, __: Chroma) -> None:
    assert service.process
    pid = service.process._process.pid
    children = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    victims = [child for child in children if Path(f"/proc/{child}/comm").read_text().strip() == "sekha-worker"]
    os.kill(victims[0], signal.SIGKILL)


def _kill_database(_: Service, postgres: Postgres, __: Chroma) -> None:
    pid = int((postgres.folder / "data" / "postmaster.pid").read_text().split()[0])
    backends = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    os.kill(backends[-1], signal.SIGKILL)  # the postmaster then ends all others and recovers from the log


def _restart_database(_: Service, postgres: Postgres, __: Chroma) -> None:
    postgres.stop()
    postgres.start()


def _kill_chroma(_: Service, __: Postgres, chroma: Chroma) -> None:
    chroma.stop()
    chroma.start()


@pytest.mark.parametrize("fault", [_kill_worker, _kill_database, _restart_database, _kill_chroma])
def test_acknowledged_rows_are_present(
    fresh: Service, postgres: Postgres, chroma: Chroma, fault: Callable[[Service, Postgres, Chroma], None]
) -> None:
    writers = Writers(fresh, fault.__name__)
    try:
        wait_for(lambda: len(writers.acknowledged) > 50, 30, "writing goes on")
        fault(fresh, postgres, chroma)
        before = len(writers.acknowledged)
        wait_for(lambda: len(writers.acknowledged) > before + 50, 60, "writing goes on after the fault")
    finally:
        writers.stop()
    _verify(Database(postgres.url), writers.acknowledged, fault.__name__)


def test_connection_cut_in_commit(fresh: Service, proxy: CuttingProxy, postgres: Postgres) -> None:
    for number in range(20):
        if number % 2:
            proxy.cut_after = 1
        else:
            proxy.cut_before = 1
        made = fresh.create(f"{_MARKER} {number}", "one", "two")
        assert fresh.client.get(f"/api/v1/conversations/{made['id']}").json()["message_count"] == 2
    assert proxy.cuts == 20
    counting = f"SELECT count(*), count(DISTINCT label) FROM conversations WHERE label LIKE '{_MARKER}%'"  # noqa: S608
    rows = Database(postgres.url).execute(counting)
    assert rows == [(20, 20)], "nothing lost, nothing twice"


def _verify(data: Database, acknowledged: set[str], label: str) -> None:
    rows = data.execute(f"SELECT id::text, label FROM conversations WHERE label LIKE '{label}%'")  # noqa: S608
    present = {row[0] for row in rows}
    print(f"{label}: {len(acknowledged)} acknowledged, {len(present)} present")
    assert acknowledged <= present, f"{len(acknowledged - present)} acknowledged rows are lost"
    assert len({row[1] for row in rows}) == len(rows), "one request, one row"
    messages = "(SELECT count(*) FROM messages m WHERE m.conversation_id = c.id)"
    half = f"SELECT count(*) FROM conversations c WHERE message_count <> {messages}"  # noqa: S608
    assert data.execute(half) == [(0,)]
    counted = data.execute("SELECT coalesce(sum(conversations), 0)::bigint FROM counters")
    assert counted == data.execute("SELECT count(*) FROM conversations")
