"""A copy of the project in which a proof may edit what an operator would, driven by `make` as he drives it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.engine import LOCAL, OperatorError
from ops.local import engine_of, start_cloud
from ops.paths import REPO
from ops.show import say

PREVIEW = (
    "from ops import up; from ops.local import engine_of; "
    "print(up.prepared(engine_of('local')).capture('preview', '--json'))"
)
LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", "*.pyc", "node_modules")


@dataclass
class Run:
    """One call of make: exit code, everything that it said, seconds."""

    code: int
    said: str
    seconds: float


@dataclass
class Copy:
    """`folder` is the copy. Use it as a context manager; it is removed at the end. `log` collects all that was said."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="sekha-proof-")) / "sekha")
    log: list[str] = field(default_factory=list)

    def __enter__(self) -> Copy:
        start_cloud()  # from here: one that is started from the copy could start no machine when the copy is gone
        shutil.copytree(REPO, self.folder, ignore=LEFT_OUT, symlinks=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder.parent, ignore_errors=True)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, by `new` in a file of the copy. Raises OperatorError."""
        file = self.folder / path
        text = file.read_text()
        if old not in text:
            raise OperatorError(f"{path} does not hold {old!r}; adapt the proof to it")
        file.write_text(text.replace(old, new))

    def restore(self, path: str) -> None:
        """The file as it is in the project."""
        shutil.copy2(REPO / path, self.folder / path)

    def environment(self) -> dict[str, str]:
        """What the copy's make is called with: none of this process's own virtual environment or repository."""
        env = {name: value for name, value in os.environ.items() if name not in ("JSON", "PYTHONPATH", "VIRTUAL_ENV")}
        parts = env["PATH"].split(os.pathsep)
        env["PATH"] = os.pathsep.join(part for part in parts if "/venv" not in part and "/toolchain/" not in part)
        return env

    def call(self, *command: str, timeout: float = 900, **env: str) -> Run:
        """Run a command in the copy."""
        started = time.monotonic()
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment() | env, text=True, capture_output=True, check=False,
            timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        run = Run(done.returncode, done.stdout + done.stderr, time.monotonic() - started)
        self.log.append(run.said)
        return run

    def up(self, **env: str) -> Run:
        """`make up` in the copy."""
        run = self.call("make", "-s", "up", timeout=900, **env)
        say(f"make up: exit code {run.code} after {run.seconds:.0f} s")
        return run

    def changes(self) -> dict[str, str]:
        """What `make up` would change, resource -> operation, by the engine's own preview. Raises OperatorError."""
        run = self.call("tools/run", "--tools", "python", "-c", PREVIEW)
        start = run.said.find("{\n")
        if run.code != 0 or start < 0:
            raise OperatorError(f"the preview failed:\n{run.said[-3000:]}")
        steps = json.JSONDecoder().raw_decode(run.said[start:])[0]["steps"]
        return {short(step["urn"]): step["op"] for step in steps if step["op"] not in ("same", "read")}


def short(urn: str) -> str:
    """Type and name of a resource: `Release sekha-local-1`."""
    *_, kind, name = urn.split("::")
    return f"{kind.rpartition(':')[2]} {name}"


def server_ids() -> dict[str, int]:
    """Name -> id of the stack's servers, from the cloud's API."""
    from hcloud import Client

    from ops.local import cloud_env

    env = cloud_env()
    client = Client(token=env["HCLOUD_TOKEN"], api_endpoint=env["HCLOUD_ENDPOINT"])
    return {str(server.name): int(str(server.id)) for server in client.servers.get_all()}


def outputs() -> Mapping[str, Any]:
    """The local stack's outputs. Raises OperatorError when it is not up."""
    found = engine_of(LOCAL).outputs()
    if not found.get("url"):
        raise OperatorError("the local stack is not up: run make up first")
    return found


def wait_for(condition: Callable[[], bool], timeout: float, what: str) -> float:
    """Seconds until `condition` held. Raises OperatorError after `timeout`."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout:
            raise OperatorError(f"{what}: not within {timeout:g} s")
        time.sleep(0.2)
    return time.monotonic() - started
