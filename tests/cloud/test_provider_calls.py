"""The real engine and the real pulumi-hcloud provider against the API with in-memory machines.

Up, refresh without changes, change in place, replacement, destroy of every resource that a single server needs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud.fake_backend import FakeBackend
from localcloud.store import Store
from tests.unit.localcloud.conftest import Rig, running

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(300)]
PROGRAM = Path(__file__).parent / "provider_program"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGSoo5oNlIIHMYRWVGUjpUdrR4ZFtOZ0ZBHd4JjbLNHn a comment"


@dataclass
class Engine:
    """A stack of the program in a folder of its own, on a cloud of its own."""

    rig: Rig
    folder: Path
    env: dict[str, str]

    def pulumi(self, *arguments: str) -> str:
        """Run pulumi; returns what it printed, fails if it failed."""
        command = ["pulumi", "--non-interactive", "--color", "never", "--cwd", str(self.folder / "program"), *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self, **config: str) -> str:
        """Change config and bring the stack up; returns the summary."""
        for key, value in config.items():
            self.pulumi("config", "set", key, value)
        return self.pulumi("up", "--yes", "--skip-preview").split("Resources:")[1]

    def expect_no_changes(self) -> None:
        """Everything is as the program says, as far as the API tells."""
        self.pulumi("preview", "--refresh", "--expect-no-changes", "--diff")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    pulumi = shutil.which("pulumi")
    assert pulumi, "run through tools/run --dev --tools"
    with closing(Store(tmp_path / "state.db")) as store:
        token = store.add_token(store.add_project("provider"))
    shutil.copytree(PROGRAM, tmp_path / "program")
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "state").mkdir()
    plugins = Path(pulumi).parent.parent / "plugins"
    if plugins.exists():
        (home / "plugins").symlink_to(plugins)
    with running(tmp_path / "state.db", FakeBackend(delay=0.05), token) as rig:
        ours = {
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "HCLOUD_ENDPOINT": rig.endpoint,
            "HCLOUD_TOKEN": token,
        }
        engine = Engine(rig, tmp_path, {**os.environ, **ours})
        engine.pulumi("stack", "init", "test")
        yield engine


def test_the_life_of_a_single_server(engine: Engine) -> None:
    rig, backend = engine.rig, engine.rig.backend
    start = {"public_key": KEY, "size": "cx23", "environment": "dev", "user_data": "#cloud-config", "volume_size": "10"}
    assert "created" in engine.up(**start)
    engine.expect_no_changes()
    servers = {row["name"].rsplit("-", 1)[0]: row for row in rig.ask("GET", "/servers")["servers"]}
    main = servers["main"]
    assert {row["status"] for row in servers.values()} == {"running"}
    assert [nic["ip"] for nic in main["private_net"]] == ["10.0.1.5"]
    assert len(main["public_net"]["firewalls"]) == 2
    assert [rule.port for rule in backend.firewalls[main["id"]] or ()] == ["443", None, "1-65535"]
    assert backend.attached == {main["volumes"][0]: main["id"]}
    assert engine.pulumi("stack", "output", "ipv4").strip() == main["public_net"]["ipv4"]["ip"]
    assert engine.pulumi("stack", "output", "ipv6").strip() == main["public_net"]["ipv6"]["ip"].replace("/64", "1")
    assert servers["private"]["public_net"]["ipv4"] is None

    summary = engine.up(size="cx33", environment="prod", volume_size="20")
    assert "updated" in summary
    assert not {"replaced", "created", "deleted"} & set(summary.split())
    engine.expect_no_changes()
    changed = rig.ask("GET", f"/servers/{main['id']}")["server"]
    assert (changed["server_type"]["name"], changed["status"], changed["labels"]["env"]) == ("cx33", "running", "prod")
    assert "22" in [rule.port for rule in backend.firewalls[main["id"]] or ()]
    assert backend.volumes == {main["volumes"][0]: (20, "ext4")}

    assert "replaced" in engine.up(user_data="#cloud-config\n# changed")
    engine.expect_no_changes()
    (again,) = [row for row in rig.ask("GET", "/servers")["servers"] if row["name"].startswith("main-")]
    assert again["id"] != main["id"]
    assert again["public_net"]["ipv4"] == changed["public_net"]["ipv4"]
    assert again["volumes"] == main["volumes"]
    assert len(again["public_net"]["firewalls"]) == 2
    assert backend.servers[again["id"]].user_data == "#cloud-config\n# changed"

    engine.pulumi("refresh", "--yes", "--skip-preview")
    engine.pulumi("destroy", "--yes", "--skip-preview")
    for kind in ("servers", "volumes", "networks", "firewalls", "primary_ips", "placement_groups", "ssh_keys"):
        assert rig.ask("GET", f"/{kind}")[kind] == [], kind
    assert (backend.servers, backend.volumes, backend.networks, backend.attached) == ({}, {}, {}, {})
