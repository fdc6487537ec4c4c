"""The agent as a module on a root folder of its own, a bucket on loopback, commands that note how they were called."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra import release_secrets, release_sign

PROGRAMS = ("common", "bucket", "manifest", "report", "launcher")
AGENT = b"the agent"
STACK_KEY = "ab" * 32


class FakeBucket:
    """An S3 bucket: `objects` by key, `requests` as (method, key, headers), `faults`: answers to give first, by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.beacons: list[dict[str, Any]] = []
        self.faults: dict[str, list[int | str]] = {}
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def answer(self, status: int, body: bytes, length: int | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body)

            def begin(self) -> tuple[str, int | str | None]:
                key = self.path.removeprefix("/bucket/")
                bucket.requests.append((self.command, key, dict(self.headers.items())))
                faults = bucket.faults.get(key)
                return key, faults.pop(0) if faults else None

            def do_GET(self) -> None:
                key, fault = self.begin()
                body = bucket.objects.get(key)
                if isinstance(fault, int):
                    self.answer(fault, b"")
                elif body is None:
                    self.answer(404, b"")
                elif fault == "cut":
                    self.answer(200, body[: len(body) // 2], len(body))
                elif span := self.headers.get("Range"):
                    rest = body[int(span.removeprefix("bytes=").removesuffix("-")) :]
                    self.answer(206 if rest else 416, rest)
                else:
                    self.answer(200, body)

            def do_PUT(self) -> None:
                key, fault = self.begin()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if isinstance(fault, int):
                    self.answer(fault, b"")
                    return
                bucket.objects[key] = body
                if key.startswith("status/"):
                    bucket.beacons.append(json.loads(body))
                self.answer(200, b"")

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def store(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.objects[f"releases/files/{digest}"] = data
        return digest

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def bucket() -> Iterator[FakeBucket]:
    fake = FakeBucket()
    yield fake
    fake.close()


def make_key(folder: Path, name: str) -> tuple[str, str]:
    """A new signing key: (private, public)."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)
    return (folder / name).read_text(), (folder / f"{name}.pub").read_text().strip()


class Machine:
    """A machine's root folder with the fake bucket behind it. `publish` a release; `agent`: a newly started agent."""

    def __init__(self, root: Path, bucket: FakeBucket, module: SimpleNamespace) -> None:
        self.root, self.bucket, self.module = root, bucket, module
        self.private, public = make_key(root, "signer")
        self.calls = root / "calls"
        files = {
            "etc/sekha-deploy/allowed_signers": f'sekha-deploy namespaces="sekha-release" {public}\n',
            "etc/sekha-deploy/agent.json": json.dumps(self.config()),
            "var/lib/cloud/data/instance-id": "4711\n",
            "var/lib/cloud/data/result.json": "{}",
            "proc/1/stat": "1 (a (pid) 1) S " + "0 " * 30 + "\n",
            "proc/sys/kernel/random/boot_id": "boot-1\n",
        }
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)

    def config(self, **changes: Any) -> dict[str, Any]:
        endpoint = {
            "endpoint": self.bucket.url,
            "region": "r1",
            "name": "bucket",
            "addressing": "path",
            "ca_file": None,
        }
        secret = {"access_key": "NODEACCESSKEY", "secret_key": "NODESECRETKEY", "stack_key": STACK_KEY}
        return {"stack": "s", "node": "n1", "bucket": endpoint, **secret, **changes}

    def manifest(self, generation: int = 1, **changes: Any) -> dict[str, Any]:
        def config(role: str, body: str) -> dict[str, Any]:
            return {"role": role, "config": self.bucket.store(f"#cloud-config\n# {role}\n{body}".encode())}

        steps = [
            {**config("base", "packages:\n- x\nwrite_files: []\n"), "stage": "packages", "units": [], "check": None},
            {**config("sekha", "runcmd: [[ls]]\n"), "stage": "service", "units": ["sekha.service"], "check": None},
        ]
        wheel = b"wheel" * 1000
        files = [{"path": "wheels/a.whl", "sha256": self.bucket.store(wheel), "size": len(wheel), "mode": "0644"}]
        agent = {"sha256": self.bucket.store(AGENT), "size": len(AGENT)}
        about = {"format": 1, "stack": "s", "node": "n1", "generation": generation, "release": "0123456789ab"}
        about["agent"] = agent
        return {**about, "steps": steps, "files": files, "secrets": None, **changes}

    def publish(self, manifest: dict[str, Any], key: str = "", text: str = "") -> None:
        """Sign the manifest and put it into desired/n1; `text` replaces the manifest after it was signed."""
        signed = json.dumps(manifest)
        envelope = {"manifest": text or signed, "signature": release_sign.sign(signed, key or self.private)}
        self.bucket.objects["desired/n1"] = json.dumps(envelope).encode()

    def seal(self, secrets: dict[str, str], key: str = STACK_KEY) -> dict[str, str]:
        return {"sha256": self.bucket.store(release_secrets.encrypt(secrets, key))}

    def agent(self) -> Any:
        """Stage 0, newly started; the agent that it starts runs in this process, as it is in the sources."""
        launcher = self.module.Launcher()
        launcher.run = self._run
        return launcher

    def part(self) -> Any:
        """The agent alone, newly started."""
        return self.module.Agent()

    def _run(self, agent: Path) -> str:
        assert agent.read_bytes() == AGENT
        accepted = json.loads((self.root / "var/lib/sekha-deploy/accepted.json").read_text())
        self.module.Agent().take_up(accepted["manifest"])
        return ""

    def commands(self) -> list[str]:
        """The command lines of the fake commands since the last look."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return lines

    def last(self) -> dict[str, Any]:
        return self.bucket.beacons[-1]


FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
if [ "$(basename "$0")" = cloud-init ]; then
  echo "NO_START=$SEKHA_NO_START" >> "$CALLS.env"
  cat "$ROOT/run/sekha-deploy/modules.json" >> "$CALLS.modules"; echo >> "$CALLS.modules"
fi
[ ! -e "$CALLS.fail" ] || . "$CALLS.fail"
exit 0
"""


@pytest.fixture
def machine(tmp_path: Path, bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose apt-get, cloud-init, systemctl, journalctl and dpkg are fakes; its /health is always fine."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("apt-get", "cloud-init", "systemctl", "journalctl", "dpkg"):
        (commands / name).write_text(FAKE)
        (commands / name).chmod(0o755)
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(root / "calls"))
    monkeypatch.setenv("ROOT", str(root))
    monkeypatch.setenv("SEKHA_DEPLOY_ROOT", str(root))
    for name in [name for name in sys.modules if name.startswith(("sekha_stage0", "sekha_agent"))]:
        monkeypatch.delitem(sys.modules, name)  # their paths are settled when they are imported
    parts = [importlib.import_module(f"sekha_stage0.{name}") for name in PROGRAMS]
    parts += [importlib.import_module(f"sekha_agent.{name}") for name in ("files", "commands", "steps", "release")]
    module = SimpleNamespace(**{name: value for part in parts for name, value in vars(part).items()})
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    monkeypatch.setattr(parts[-1], "version_served", lambda: "1.2.3")
    return Machine(root, bucket, module)
