"""`make bench-memory`: what the service, PostgreSQL, Chroma and Caddy take, idle and under load, next to 8 GB.

Proportional set sizes: pages that processes share count once. The system and monitoring are estimates, marked so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.service.rig import cache, free_port

from .data import Size, ids
from .load import install_wrk, replay
from .operations import OPERATIONS
from .world import World, children, memory_mb

BUDGET_MB = 8192
"""Memory of the smallest plan."""
ESTIMATES = {"system: kernel, systemd, sshd, journald (estimate)": 250, "monitoring (estimate)": 400}
_LOAD = ("create", "get", "list", "full text", "query", "context")


def _program() -> str | None:
    """Caddy's program: the one installed, else Debian's, unpacked in the cache folder (installing would start it)."""
    folder = cache() / "bench-caddy"
    unpacked = folder / "usr" / "bin" / "caddy"
    if not shutil.which("caddy") and not unpacked.exists() and shutil.which("dpkg"):
        with tempfile.TemporaryDirectory() as place:
            subprocess.run(["apt-get", "download", "-qq", "caddy"], cwd=place, check=False)
            for package in Path(place).glob("caddy_*.deb"):
                subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    return shutil.which("caddy") or (str(unpacked) if unpacked.exists() else None)


@contextmanager
def _caddy(upstream: int) -> Iterator[tuple[int, int] | None]:
    """Caddy before the service: its process and port; None when it can't be had."""
    program = _program()
    if not program:
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "Caddyfile"
        file.write_text(f"{{\n admin off\n}}\nhttp://127.0.0.1:{port} {{\n reverse_proxy 127.0.0.1:{upstream}\n}}\n")
        environment = {**os.environ, "HOME": folder}
        process = subprocess.Popen(
            [program, "run", "--config", str(file), "--adapter", "caddyfile"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process.pid, port
        finally:
            process.kill()
            process.wait()


def _now(world: World, caddy: int | None) -> dict[str, float]:
    """Megabytes of each part."""
    workers = world.workers
    whole = memory_mb(world.pid)
    found = {f"service: worker {i}": memory_mb(pid) for i, pid in enumerate(workers, start=1)}
    below = [pid for pid in children(world.pid) if pid not in workers]
    found["service: feeder and others"] = sum(map(memory_mb, below))
    found["service: parent"] = max(0.0, whole - sum(found.values()))
    postgres, chroma = world.others()
    found["PostgreSQL"], found["Chroma"] = memory_mb(postgres), memory_mb(chroma)
    if caddy:
        found["Caddy"] = memory_mb(caddy)
    return found


def main() -> None:
    """Measure, print; with JSON=1 one JSON object as the last line."""
    parser = argparse.ArgumentParser(prog="bench-memory", description=__doc__)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=5, help="of each operation's load")
    options = parser.parse_args()
    install_wrk()
    size = Size(options.conversations)
    with World.filled(size) as world:
        service = world.start(options.workers)
        with _caddy(service.port) as caddy:
            pid, port = caddy or (None, service.port)
            idle = _now(world, pid)
            most = dict(idle)
            for name in _LOAD:
                requests = OPERATIONS[name].requests(ids(size), 3)
                replay(f"http://127.0.0.1:{port}", requests, 32, options.seconds)
                now = _now(world, pid)
                most = {part: max(most.get(part, 0.0), size) for part, size in now.items()}
    print(f"{'part':52} {'idle MB':>8} {'load MB':>8}")
    for part in idle:
        print(f"{part:52} {idle[part]:8.0f} {most[part]:8.0f}")
    for part, estimate in ESTIMATES.items():
        print(f"{part:52} {estimate:8.0f} {estimate:8.0f}")
    total, loaded = (sum(each.values()) + sum(ESTIMATES.values()) for each in (idle, most))
    print(f"{'together':52} {total:8.0f} {loaded:8.0f}")
    print(f"{'of 8 GB':52} {total / BUDGET_MB:8.0%} {loaded / BUDGET_MB:8.0%}")
    if os.environ.get("JSON") == "1":
        print(json.dumps({"idle_mb": idle, "load_mb": most, "estimates_mb": ESTIMATES, "budget_mb": BUDGET_MB}))


if __name__ == "__main__":
    main()
