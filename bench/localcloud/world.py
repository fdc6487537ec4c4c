"""Processes for the figures: a local cloud without machines in a folder of its own, and the floor beside it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from ops.paths import REPO


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Api:
    """An API's address and a token."""

    url: str  # with /v1
    token: str

    def client(self) -> httpx.Client:
        """An HTTP client with the token."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60)


def localcloud(*arguments: str, env: dict[str, str] | None = None) -> str:
    """Run `python -m localcloud ARGUMENTS`; what it printed."""
    command = [sys.executable, "-m", "localcloud", *arguments]
    whole = {**os.environ, **(env or {}), "JSON": ""}
    return subprocess.run(command, cwd=REPO, env=whole, check=True, text=True, stdout=subprocess.PIPE).stdout


def project(env: dict[str, str] | None = None) -> Api:
    """A new, empty project of the running local cloud."""
    values = json.loads(localcloud("env", "--new-project", "--json", env=env))
    return Api(values["HCLOUD_ENDPOINT"], values["HCLOUD_TOKEN"])


@contextmanager
def without_machines() -> Iterator[Api]:
    """A local cloud without machines, ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="localcloud-bench-") as folder:
        env = {"SEKHA_CLOUD_DIR": str(Path(folder) / "cloud"), "LOCALCLOUD_PORT": str(free_port())}
        localcloud("up", "--no-machines", env=env)
        try:
            yield project(env)
        finally:
            localcloud("down", env=env)


@contextmanager
def floor() -> Iterator[str]:
    """The floor's address, without a path."""
    with tempfile.TemporaryDirectory(prefix="localcloud-bench-") as folder:
        url = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "bench.localcloud.floor", url.rpartition(":")[2]]
        env = {**os.environ, "PYTHONPATH": str(REPO)}
        process = subprocess.Popen(command, cwd=folder, env=env)
        try:
            _answers(f"{url}/10", process)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _answers(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise SystemExit(f"the floor does not answer at {url}")
