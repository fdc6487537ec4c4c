"""The floors' processes, on the core of the service's worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.service.rig import API_KEY, REPO, extras, free_port
from tests.support import wait_for

from .world import on_core


def _start(*arguments: str) -> subprocess.Popen[str]:
    paths = f"{REPO}:{REPO / 'app' / 'src'}:{extras()}"
    with on_core():
        return subprocess.Popen(
            [sys.executable, "-m", "bench.service.floors", *arguments],
            env={**os.environ, "PYTHONPATH": paths, "SEKHA_API_KEY": API_KEY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


class FloorProcess:
    """A process that measures floors; see floors.py."""

    def __init__(self, config: Path) -> None:
        self._process = _start("work", str(config))
        self.pid = self._process.pid

    def __enter__(self) -> FloorProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """The answer to one job."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))


class BareServer:
    """The bare ASGI server at `url`."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = _start("health", str(port))
        self.pid = self._process.pid
        wait_for(self._answers, 20, "the bare server answers")

    def _answers(self) -> bool:
        try:
            return httpx.get(self.url).status_code == 200
        except httpx.HTTPError:
            return False

    def __enter__(self) -> BareServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
