"""One fault while clients write: everything that the table of `make bench-faults` shows of it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.service.cutting_proxy import CuttingProxy
from tests.service.databases import Database, Postgres
from tests.service.faketime import Clock
from tests.service.faults import CUT, LITE, Fault, Rig
from tests.service.rig import Chroma, Service
from tests.service.small_disk import SmallDisk
from tests.service.writers import NO_ANSWER, Verdict, Writers, compare
from tests.support import wait_for

_SETTINGS = "[server]\nworkers = 2\n[rate_limiting]\nenabled = false\n"
_PROBE = "A lighthouse keeper counts the ships at night"


@dataclass(frozen=True)
class Outcome:
    """`away`: seconds the fault lasted. `back`: seconds from its end to healthy and the next acknowledged write.

    `lexical`: whether a search found its message by words during the fault (None: not looked). `unindexed`: messages
    missing in Chroma when the outbox was empty again.
    """

    fault: Fault
    verdict: Verdict
    errors: dict[str, int]
    away: float
    back: float
    lexical: bool | None
    unindexed: int

    @property
    def harmless(self) -> bool:
        """Nothing acknowledged was harmed, all of it is searchable, no other error than 503 was answered."""
        return (
            self.verdict.good
            and not self.unindexed
            and self.lexical is not False
            and set(self.errors) <= {"503", NO_ANSWER}
        )


@contextlib.contextmanager
def rig_for(fault: Fault, postgres: Postgres, chroma: Chroma) -> Iterator[Rig]:
    """A service of two workers on a new database, with what the fault needs."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sekha-fault-")))
        disk = clock = proxy = server = None
        if fault.needs == "disk":
            disk = SmallDisk(30 if fault.database == LITE else 200)
            stack.callback(disk.close)
        if fault.needs == "clock":
            clock = Clock()
            stack.callback(clock.close)
        if fault.database == LITE:
            url = data = f"sqlite://{(disk.path if disk else folder) / 'data' / 'sekha.db'}"
        else:
            server = postgres
            if disk or clock:
                server = Postgres(within=disk.path if disk else None, environment=clock.environment if clock else None)
                stack.callback(server.close)
            data = server.new_database()
            proxy = CuttingProxy(server.folder / ".s.PGSQL.5432", CUT.encode())
            stack.callback(proxy.close)
            name = data.partition("@/")[2].partition("?")[0]
            url = f"postgresql://sekha@127.0.0.1:{proxy.port}/{name}"
        service = Service(folder, url, chroma.port, _SETTINGS)
        service.environment = clock.environment if clock else {}
        stack.callback(service.stop)
        service.start()
        yield Rig(service, Database(data), chroma, server, proxy, disk, clock)


def run(fault: Fault, rig: Rig, seconds: float, threads: int = 8, pause: float = 0.0) -> Outcome:
    """Bring the fault about for `seconds` while `threads` clients write, then mend it and compare."""
    rig.service.create(f"probe {CUT}", _PROBE)
    rig.service.wait_until_indexed()
    label = f"{fault.name} {CUT}"
    writers = Writers(rig.service.url, label, threads, pause)
    lexical = None
    try:
        wait_for(lambda: len(writers.acknowledged) > 30, 60, "writing goes on")
        begun = time.monotonic()
        fault.begin(rig)
        if rig.chroma.port and "Chroma" in fault.name and seconds:
            lexical = _found_by_words(rig.service)
        time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
        fault.mend(rig)
        ended = time.monotonic()
        before = len(writers.acknowledged)
        wait_for(lambda: len(writers.acknowledged) > before, 60, "writing goes on after the fault", 0.02)
        wait_for(lambda: _state(rig.service) == "healthy", 60, "healthy again", 0.05)
        back = time.monotonic() - ended
        wait_for(lambda: len(writers.acknowledged) > before + 30, 60, "writing goes on")
    finally:
        writers.stop()
    verdict = compare(rig.data, writers.acknowledged, label)
    return Outcome(fault, verdict, dict(writers.errors), ended - begun, back, lexical, _unindexed(rig))


def _state(service: Service) -> str:
    try:
        return str(httpx.get(f"{service.url}/health", timeout=5).json()["status"])
    except httpx.HTTPError:
        return "no answer"


def _found_by_words(service: Service) -> bool:
    """Whether a message written just now is found although its vector is nowhere."""
    word = f"word{time.monotonic_ns()}"
    service.create(f"lexical {CUT}", f"The {word} is here")
    return any(word in hit["content"] for hit in service.query(word))


def _unindexed(rig: Rig) -> int:
    rig.service.wait_until_indexed(300)
    stored = int(rig.data.execute("SELECT count(*) FROM messages")[0][0])
    return stored - rig.chroma.count(rig.service.collection)
