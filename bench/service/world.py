"""PostgreSQL, Chroma and the service for the benchmark: real processes with durable settings, each where it belongs."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from sekha_service.store.migrate import migrate

from tests.service.databases import Postgres
from tests.service.rig import Chroma, Service

from .data import COLLECTION, Size
from .kept import keep

WORKER_CORE = 0
POOL = 12
"""Database connections of a worker, two of them for the outbox and health."""
UNLIMITED = "[rate_limiting]\nenabled = false\n"


class DurablePostgres(Postgres):
    """PostgreSQL that waits for the disk at each commit, with the memory settings of a small plan."""

    settings = "-c shared_buffers=512MB -c effective_cache_size=2GB -c max_wal_size=4GB -c jit=off"


@contextlib.contextmanager
def on_core() -> Iterator[None]:
    """What is started meanwhile runs on the worker's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {WORKER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pid: int, *, everywhere: bool = False) -> None:
    """Keep a process and all below it, with their threads, on the worker's core; or let them go everywhere again."""
    cores = set(range(os.cpu_count() or 1)) if everywhere else {WORKER_CORE}
    for each in family(pid):
        with contextlib.suppress(OSError):  # gone meanwhile
            for entry in Path(f"/proc/{each}/task").iterdir():
                os.sched_setaffinity(int(entry.name), cores)


def cpu_seconds(pids: list[int]) -> float:
    """Processor time used by processes so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_of_all(pid: int) -> float:
    """Processor time used by a process, all below it, and what below it has ended, in seconds."""
    ticks = 0
    for each in family(pid):
        with contextlib.suppress(OSError):  # gone meanwhile
            fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def family(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid] + [each for child in children(pid) for each in family(child)]


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and all below it, in MB: shared pages count once in all."""
    total = 0
    for each in family(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


class World:
    """One database and one collection with `service` on them; `start(workers)` starts the service anew."""

    def __init__(self, folder: Path, postgres: Postgres, chroma: Chroma) -> None:
        self.folder, self.postgres, self.chroma = folder, postgres, chroma
        self.url = postgres.url
        self.service = self._service(1, UNLIMITED)

    @classmethod
    @contextlib.contextmanager
    def filled(cls, size: Size) -> Iterator[World]:
        """A world of its own with so much stored, on copies of what is kept; stopped and removed at the end."""
        with tempfile.TemporaryDirectory(prefix="sekha-bench-") as name:
            kept = keep(size)
            (Path(name) / "chroma").mkdir()
            subprocess.run(["cp", "-a", "--reflink=auto", kept / "chroma", Path(name) / "chroma" / "data"], check=True)
            postgres = DurablePostgres(kept / "postgres")
            try:
                migrate(postgres.url)
                chroma = Chroma(Path(name) / "chroma")
                try:
                    world = cls(Path(name), postgres, chroma)
                    try:
                        yield world
                    finally:
                        world.stop()
                finally:
                    chroma.stop()
            finally:
                postgres.close()

    def _service(self, workers: int, limits: str) -> Service:
        it = Service(self.folder, self.url, self.chroma.port, f"[server]\nworkers = {workers}\n{limits}")
        line = f'url = "{self.url}"\n'
        text = it.config.read_text().replace(line, f"{line}max_connections = {POOL * workers}\n")
        it.config.write_text(re.sub('collection_name = ".*"', f'collection_name = "{COLLECTION}"', text))
        return it

    def start(self, workers: int = 1, limits: str = UNLIMITED) -> Service:
        """Stop what runs; start with so many workers: one worker on one core, several on all."""
        self.stop()
        self.service = self._service(workers, limits)
        self.service.start()
        if workers == 1:
            for pid in self.workers:
                pin(pid)
        return self.service

    @property
    def workers(self) -> list[int]:
        """The worker processes."""
        return [pid for pid in children(self.pid) if Path(f"/proc/{pid}/comm").read_text().strip() == "sekha-worker"]

    @property
    def pid(self) -> int:
        """The service's (first) process."""
        assert self.service.process
        return self.service.process._process.pid

    def others(self) -> tuple[int, int]:
        """The first processes of PostgreSQL and of Chroma."""
        return self.postgres.pid, self.chroma.pid

    def drop_outbox(self) -> None:
        """Forget what is still to be embedded."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DELETE FROM vector_outbox")

    def stop(self) -> None:
        """Stop the service."""
        if self.service.process:
            self.service.stop()
