"""Faults to bring about while clients write: what breaks, how long it stays so, and how it is mended.

What systemd does on a machine (start again what died) is done here by `mend`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.service.cutting_proxy import CuttingProxy
from tests.service.databases import Database, Postgres
from tests.service.faketime import Clock
from tests.service.rig import Chroma, Service
from tests.service.small_disk import SmallDisk
from tests.support import wait_for

CUT = "cut-me"
"""In the labels of the writers: the proxy cuts statements that hold it."""


@dataclass
class Rig:
    """All that a fault may touch; what a fault doesn't need is None."""

    service: Service
    data: Database
    chroma: Chroma
    postgres: Postgres | None = None
    proxy: CuttingProxy | None = None
    disk: SmallDisk | None = None
    clock: Clock | None = None


@dataclass(frozen=True)
class Fault:
    """`seconds`: how long it lasts in the full run. `needs`: disk, clock, or nothing."""

    name: str
    database: str
    begin: Callable[[Rig], None]
    mend: Callable[[Rig], None] = lambda _: None
    seconds: float = 0
    needs: str = ""


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(text) for text in (task / "children").read_text().split()]
    return found


def _workers(rig: Rig) -> list[int]:
    assert rig.service.process
    below = children(rig.service.process.pid)
    return [pid for pid in below if Path(f"/proc/{pid}/comm").read_text().strip() == "sekha-worker"]


def _kill_worker(rig: Rig) -> None:
    os.kill(_workers(rig)[0], signal.SIGKILL)


def _kill_service(rig: Rig) -> None:
    assert rig.service.process
    family = [rig.service.process.pid, *children(rig.service.process.pid)]
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    rig.service.process.wait()


def _start_service(rig: Rig) -> None:
    rig.service.start()


def _postmaster(rig: Rig) -> int:
    assert rig.postgres
    return rig.postgres.pid


def _kill_backend(rig: Rig) -> None:
    os.kill(children(_postmaster(rig))[-1], signal.SIGKILL)  # the postmaster then ends all others and recovers


def _kill_postmaster(rig: Rig) -> None:
    os.kill(_postmaster(rig), signal.SIGKILL)


def _stop_postgres(rig: Rig) -> None:
    assert rig.postgres
    rig.postgres.stop("fast")


def _start_postgres(rig: Rig) -> None:
    """As systemd does: again and again, until what is left of a killed one is gone."""
    assert rig.postgres
    server = rig.postgres

    def started() -> bool:
        if server.accepts():
            return True
        try:
            server.start()
        except subprocess.CalledProcessError:
            return False
        return True

    wait_for(started, 60, "PostgreSQL starts again", 0.5)


def _stop_chroma(rig: Rig) -> None:
    rig.chroma.stop()


def _start_chroma(rig: Rig) -> None:
    rig.chroma.start()


def _cut(rig: Rig) -> None:
    assert rig.proxy
    rig.proxy.cut_before = rig.proxy.cut_after = 20
    wait_for(lambda: rig.proxy and rig.proxy.cuts >= 40, 60, "connections were cut")


def _fill_disk(rig: Rig) -> None:
    assert rig.disk
    rig.disk.fill()


def _free_disk(rig: Rig) -> None:
    assert rig.disk
    rig.disk.free()
    if rig.postgres:
        _start_postgres(rig)


def _jump(rig: Rig) -> None:
    assert rig.clock
    for offset in ("+1d", "-1d"):
        rig.clock.set(offset)
        time.sleep(2)  # the clock's offset is read once a second


def _clock_back(rig: Rig) -> None:
    assert rig.clock
    rig.clock.set("+0")


PG, LITE = "postgresql", "sqlite"
FAULTS = (
    Fault("kill -9 a worker", PG, _kill_worker),
    Fault("kill -9 all of the service", PG, _kill_service, _start_service),
    Fault("kill -9 a backend", PG, _kill_backend),
    Fault("kill -9 the postmaster", PG, _kill_postmaster, _start_postgres),
    Fault("database restart", PG, _stop_postgres, _start_postgres),
    Fault("database away", PG, _stop_postgres, _start_postgres, 20),
    Fault("connections cut in COMMIT", PG, _cut),
    Fault("kill -9 Chroma", PG, _stop_chroma, _start_chroma),
    Fault("Chroma away", PG, _stop_chroma, _start_chroma, 60),
    Fault("disk full", PG, _fill_disk, _free_disk, 10, "disk"),
    Fault("clock jumps a day, and back", PG, _jump, _clock_back, needs="clock"),
    Fault("kill -9 a worker", LITE, _kill_worker),
    Fault("kill -9 all of the service", LITE, _kill_service, _start_service),
    Fault("disk full", LITE, _fill_disk, _free_disk, 10, "disk"),
    Fault("clock jumps a day, and back", LITE, _jump, _clock_back, needs="clock"),
)
