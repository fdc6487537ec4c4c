"""`python -m bench.service.rate`: how exactly the rate limit is kept by several workers, and that /health has none.

Sends far more than is allowed for 30 s (SECONDS_LIMITED), on 16 connections; answers other than 429 are compared with
rate * seconds + burst. Fails beyond 5 %.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.service.databases import Postgres
from tests.service.rig import Chroma

from .load import install_wrk, replay
from .world import World

_RATE, _BURST, _WORKERS = 100, 50, 3


def main() -> int:
    """Measure, print, and return 1 when it is off by more than 5 %."""
    seconds = int(os.environ.get("SECONDS_LIMITED", "30"))
    install_wrk()
    with tempfile.TemporaryDirectory(prefix="sekha-rate-") as name:
        (Path(name) / "chroma").mkdir()
        postgres, chroma = Postgres(), Chroma(Path(name) / "chroma")
        world = World(Path(name), postgres, chroma)
        try:
            limits = f"[rate_limiting]\nrequests_per_second = {_RATE}\nburst_size = {_BURST}\n"
            service = world.start(_WORKERS, limits)
            run = replay(service.url, [("GET", "/api/v1/conversations/count", None)], 16, seconds)
            health = replay(service.url, [("GET", "/health", None)], 16, 2)
        finally:
            world.stop()
            chroma.stop()
            postgres.close()
    allowed, expected = run.requests - run.errors, _RATE * run.seconds + _BURST
    result = {
        "workers": _WORKERS,
        "seconds": round(run.seconds, 2),
        "sent": run.requests,
        "allowed": allowed,
        "expected": round(expected),
        "off_percent": round(100 * (allowed / expected - 1), 2),
        "health_requests": health.requests,
        "health_refused": health.errors,
    }
    for key, value in result.items():
        print(f"{key:16} {value}")
    if os.environ.get("JSON") == "1":
        print(json.dumps(result))
    return 0 if abs(allowed / expected - 1) <= 0.05 and not health.errors else 1


if __name__ == "__main__":
    sys.exit(main())
