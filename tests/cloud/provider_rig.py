"""The real engine and the real pulumi-hcloud provider against the API with in-memory machines, for tests and proofs."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from localcloud import certs
from localcloud.fake_backend import FakeBackend
from localcloud.store import Store
from tests.unit.localcloud.conftest import Rig, running

PROGRAM = Path(__file__).parent / "provider_program"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGSoo5oNlIIHMYRWVGUjpUdrR4ZFtOZ0ZBHd4JjbLNHn a comment"
KINDS = (
    "certificates", "firewalls", "floating_ips", "load_balancers", "networks", "placement_groups", "primary_ips",
    "servers", "ssh_keys", "storage_boxes", "volumes", "zones",
)  # fmt: skip


@dataclass
class Engine:
    """A stack of the program in a folder of its own, on a cloud of its own."""

    rig: Rig
    folder: Path
    env: dict[str, str]
    config: dict[str, str] = field(default_factory=dict)

    def pulumi(self, *arguments: str) -> str:
        """Run pulumi; returns what it printed, fails if it failed."""
        command = ["pulumi", "--non-interactive", "--color", "never", "--cwd", str(self.folder / "program"), *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def configure(self, **config: str) -> None:
        """Change config."""
        changed = [word for key, value in config.items() for word in ("--plaintext", f"{key}={value}")]
        self.pulumi("config", "set-all", *changed)

    def up(self, **config: str) -> str:
        """Change config and bring the stack up; returns the summary."""
        if config:
            self.configure(**config)
        return self.pulumi("up", "--yes", "--skip-preview").split("Resources:")[1]

    def plan(self) -> dict[str, set[str]]:
        """What `up` would do now: resource type -> operations (create, update, replace, same, ...)."""
        steps: dict[str, set[str]] = {}
        for step in json.loads(self.pulumi("preview", "--json"))["steps"]:
            kind = step["urn"].split("::")[2].rpartition(":")[2]
            steps.setdefault(kind, set()).add(step["op"])
        return steps

    def types(self) -> dict[str, int]:
        """How many resources of each type of the provider the stack has."""
        found: dict[str, int] = {}
        for row in json.loads(self.pulumi("stack", "export"))["deployment"].get("resources", []):
            if row["type"].startswith("hcloud:"):
                kind = row["type"].rpartition(":")[2]
                found[kind] = found.get(kind, 0) + 1
        return found

    def expect_no_changes(self) -> None:
        """Everything is as the program says, as far as the API tells."""
        self.pulumi("preview", "--refresh", "--expect-no-changes", "--diff")

    def left(self) -> list[str]:
        """What the project still has in the cloud."""
        return [f"{kind} {row['id']}" for kind in KINDS for row in self.rig.ask("GET", f"/{kind}")[kind]]


@contextmanager
def served(folder: Path) -> Iterator[Engine]:
    """An empty stack of the program on an empty project; everything it needs is made in `folder`."""
    pulumi = shutil.which("pulumi")
    assert pulumi, "run through tools/run --dev --tools"
    with closing(Store(folder / "state.db")) as store:
        token = store.add_token(store.add_project("provider"))
    shutil.copytree(PROGRAM, folder / "program")
    home = folder / "home"
    home.mkdir()
    (folder / "state").mkdir()
    plugins = Path(pulumi).parent.parent / "plugins"
    if plugins.exists():
        (home / "plugins").symlink_to(plugins)
    (folder / "ca").mkdir()
    certs.ensure(folder / "ca")
    with running(folder / "state.db", FakeBackend(delay=0.05), token) as rig:
        rig.cloud.issue = functools.partial(certs.issue, folder / "ca")
        ours = {
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "HCLOUD_ENDPOINT": rig.endpoint,
            "HETZNER_ENDPOINT": rig.endpoint,
            "HCLOUD_TOKEN": token,
        }
        engine = Engine(rig, folder, {**os.environ, **ours})
        engine.pulumi("stack", "init", "test")
        yield engine


def first_config(folder: Path) -> dict[str, str]:
    """The config of the first `up`."""
    chain, key = certs.issue(folder / "ca", ["www.example.com"])
    return {
        "public_key": KEY, "size": "cx23", "environment": "dev", "user_data": "#cloud-config", "volume_size": "10",
        "ttl": "300", "certificate": chain, "certificate_key": key, "password": "Correct-horse-1",
    }  # fmt: skip
