"""Load on an HTTP server: wrk replays a file of requests."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.service.rig import API_KEY

_SCRIPT = Path(__file__).parent / "replay.lua"
Request = tuple[str, str, Any]
"""Method, path with query string, body (None = none; else sent as JSON)."""


@dataclass(frozen=True)
class Figures:
    """What a run gave: requests, seconds, latencies in milliseconds, answers that weren't 2xx or didn't come."""

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float
    max: float
    errors: int

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, float]:
        """All of it, with the rate, rounded."""
        return {name: round(value, 3) for name, value in {**asdict(self), "rate": self.rate}.items()}


def together(runs: Sequence[Figures]) -> Figures:
    """Several runs as one: sums; of the latencies the median run's, of the longest the longest."""
    return Figures(
        requests=sum(run.requests for run in runs),
        seconds=sum(run.seconds for run in runs),
        p50=statistics.median(run.p50 for run in runs),
        p95=statistics.median(run.p95 for run in runs),
        p99=statistics.median(run.p99 for run in runs),
        max=max(run.max for run in runs),
        errors=sum(run.errors for run in runs),
    )


def install_wrk() -> None:
    """Debian's wrk, where it is missing (needs root then)."""
    if not shutil.which("wrk"):
        assert os.geteuid() == 0, "wrk is missing: apt-get install wrk"
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "wrk"], check=True)


def replay(url: str, requests: Iterable[Request], clients: int, seconds: float, key: str = API_KEY) -> Figures:
    """Send `requests` over and over on `clients` kept connections for `seconds` (whole ones). `url` on loopback.

    `key` is the bearer token.
    """
    assert url.startswith("http://127.0.0.1:"), url
    with tempfile.NamedTemporaryFile("w", suffix=".requests", encoding="utf-8") as file:
        for method, path, body in requests:
            file.write(f"{method}\t{path}\t{'' if body is None else json.dumps(body)}\n")
        file.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        command += ["-s", str(_SCRIPT), url, "--", file.name, key]
        run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    assert run.returncode == 0, run.stderr
    return Figures(**json.loads(run.stdout.splitlines()[-1]))
