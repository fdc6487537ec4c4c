"""20 machines on this host, asked for at once: seconds, memory and disk of each, and how the API answers meanwhile."""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from bench.localcloud.api import body, wait_running
from bench.localcloud.world import localcloud, project
from localcloud.limits import GROUP, ROOT, detect
from localcloud.machines.paths import Paths, paths_from_env
from ops.show import say, table

MACHINES = int(os.environ.get("MACHINES", "20"))
LIMIT = 1200.0  # s for all of them
MB = 1e6


def booted(paths: Paths, server: int) -> bool:
    """True once cloud-init has finished in the machine."""
    return (paths.server(server) / "root/var/lib/cloud/data/result.json").exists()


def memory(server: int) -> dict[str, float]:
    """MB of a machine: `own` (of its processes alone), `charged` (to its control group: with page cache and kernel),
    `share` (its processes with their share of what they map with others, PSS).
    """
    first, second = ROOT / "memory" / GROUP / str(server), ROOT / GROUP / str(server)  # control groups 1 or 2
    if first.is_dir():
        folder, own, charged = first, "total_rss", "memory.usage_in_bytes"
    else:
        folder, own, charged = second, "anon", "memory.current"
    rows = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    share = 0
    for pid in detect().pids(server):
        with contextlib.suppress(OSError):  # it has ended
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            share += 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return {"own": int(rows[own]) / MB, "charged": int((folder / charged).read_text()) / MB, "share": share / MB}


def disk(paths: Paths, server: int) -> float:
    """MB that the machine takes on the host's disk."""
    return sum(file.stat().st_blocks * 512 for file in paths.server(server).glob("*.img")) / MB


class Watcher:
    """Asks for the list of servers four times a second and notes how long each answer took."""

    def __init__(self, client: httpx.Client) -> None:
        self.seconds: list[float] = []
        self._client, self._end = client, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._end.wait(0.25):
            began = time.monotonic()
            self._client.get("/servers").raise_for_status()
            self.seconds.append(time.monotonic() - began)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def _boot_all(client: httpx.Client, paths: Paths) -> tuple[list[int], dict[str, float], list[float]]:
    """Make them; ids, seconds of each stage for all, and the seconds of each machine to the end of cloud-init."""
    began = time.monotonic()

    def make(number: int) -> int:
        answer = client.post("/servers", json=body(f"m-{number}")).raise_for_status()
        return int(answer.json()["server"]["id"])

    with ThreadPoolExecutor(MACHINES) as pool:
        ids = list(pool.map(make, range(MACHINES)))
    stages = {"answered": time.monotonic() - began}
    wait_running(client, MACHINES, LIMIT)
    stages["running"] = time.monotonic() - began
    done: dict[int, float] = {}
    while len(done) < MACHINES:
        done |= {server: time.monotonic() - began for server in ids if server not in done and booted(paths, server)}
        if time.monotonic() - began > LIMIT:
            raise SystemExit(f"only {len(done)} of {MACHINES} machines have booted within {LIMIT:g} s")
        time.sleep(0.2)
    stages["booted"] = max(done.values())
    return ids, stages, sorted(done.values())


def _delete_all(client: httpx.Client) -> float:
    began = time.monotonic()
    with ThreadPoolExecutor(MACHINES) as pool:
        servers = client.get("/servers", params={"per_page": 50}).raise_for_status().json()["servers"]
        list(pool.map(lambda server: client.delete(f"/servers/{server['id']}").raise_for_status(), servers))
    while client.get("/servers").raise_for_status().json()["servers"]:
        if time.monotonic() - began > LIMIT:
            raise SystemExit(f"not all machines are gone within {LIMIT:g} s")
        time.sleep(0.1)
    return time.monotonic() - began


def measure(paths: Paths | None = None) -> dict[str, Any]:
    """Start the local cloud unless it runs, and measure in a project of its own, which is empty again afterwards."""
    paths = paths or paths_from_env()
    localcloud("up")
    api = project()
    say(f"{MACHINES} machines at once")
    with api.client() as client, api.client() as other:
        with Watcher(other) as watcher:
            ids, stages, each = _boot_all(client, paths)
        time.sleep(5)  # what a boot leaves running for a moment is not what a machine takes
        held = [memory(server) for server in ids]
        disks = [disk(paths, server) for server in ids]
        problems = localcloud("check").splitlines()[-1]
        stages["deleted"] = _delete_all(client)
    answers = sorted(1000 * seconds for seconds in watcher.seconds)
    return {
        "machines": MACHINES, "check": problems, "seconds": {name: round(value, 1) for name, value in stages.items()},
        "booted_first": round(each[0], 1), "booted_median": round(statistics.median(each), 1),
        "memory_mb": {name: _three([row[name] for row in held]) for name in held[0]}, "disk_mb": _three(disks),
        "list_ms": {"median": round(statistics.median(answers)), "max": round(answers[-1]), "asked": len(answers)},
    }  # fmt: skip


def _three(values: Any) -> dict[str, int]:
    return {"min": round(min(values)), "median": round(statistics.median(values)), "max": round(max(values))}


def show(found: dict[str, Any]) -> None:
    """Print it."""
    seconds = found["seconds"]
    print(f"\n{found['machines']} machines asked for at once (checker: {found['check']})\n")
    stages = [("all answered", "answered"), ("all running", "running"), ("cloud-init done in all", "booted"), ("all deleted", "deleted")]  # fmt: skip # noqa: E501
    print(table(["stage", "seconds"], [(text, seconds[name]) for text, name in stages]))
    print(f"\nfirst machine done after {found['booted_first']} s, half of them after {found['booted_median']} s")
    wait = found["list_ms"]
    print(f"GET /servers meanwhile: {wait['median']} ms, at most {wait['max']} ms ({wait['asked']} times)\n")
    texts = {
        "own": "memory of its own",
        "charged": "charged: and page cache, kernel",
        "share": "and a share of what is mapped",
    }
    rows = [*((texts[name], row) for name, row in found["memory_mb"].items()), ("disk", found["disk_mb"])]
    print(table(["MB of each machine", "min", "median", "max"], [(text, row["min"], row["median"], row["max"]) for text, row in rows]))  # fmt: skip # noqa: E501
