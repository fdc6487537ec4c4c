"""One real local cloud for the whole session, with state of its own (image, mirror and toolchain are shared)."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hcloud import Client
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer
from hcloud.ssh_keys import BoundSSHKey

from localcloud.backend import BackendError
from localcloud.machines import cleanup, guest
from localcloud.machines.paths import OWNER_FILE, Paths, paths_from_env
from localcloud.machines.sh import read_json
from tests.support import wait_for

REPO = Path(__file__).parent.parent.parent
USER_DATA = "#cloud-config\nruncmd:\n- echo done by user-data > /root/proof\n"


def id_of(thing: Any) -> int:
    """The id of an API object, which hcloud-python types as optional."""
    assert isinstance(thing.id, int)
    return thing.id


@dataclass
class LocalCloud:
    """The running local cloud: its command line, its environment, and shortcuts into its machines."""

    paths: Paths
    key: Path  # private SSH key; .pub beside it
    env: dict[str, str] = field(default_factory=dict, repr=False)  # secrets

    def cli(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `python -m localcloud ARGS` against this local cloud."""
        env = {**os.environ, "SEKHA_CACHE": str(self.paths.cache), "SEKHA_CLOUD_DIR": str(self.paths.cloud)}
        env |= {"PYTHONPATH": str(REPO)}
        command = [sys.executable, "-m", "localcloud", *args]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd="/")
        if check and done.returncode != 0:
            raise AssertionError(
                f"localcloud {' '.join(args)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def up(self) -> None:
        """`localcloud up`, then read its environment."""
        self.cli("up")
        self.env = dict(json.loads(self.cli("env", "--json").stdout))

    def client(self) -> Client:
        """A client in a new, empty project."""
        env = json.loads(self.cli("env", "--new-project", "--json").stdout)
        return Client(token=env["HCLOUD_TOKEN"], api_endpoint=env["HCLOUD_ENDPOINT"], poll_interval=0.05)

    def boot(
        self, client: Client, name: str, *, user_data: str = USER_DATA, wait: bool = True, **more: Any
    ) -> BoundServer:
        """A server of the smallest type with our SSH key, by default with cloud-init done."""
        made = client.servers.create(
            name=name, server_type=ServerType(name="cx23"), image=Image(name="debian-13"),
            location=Location(name="fsn1"), ssh_keys=[self.ssh_key(client)], user_data=user_data, **more,
        )  # fmt: skip
        made.action.wait_until_finished(120)
        for action in made.next_actions:
            action.wait_until_finished(120)
        if wait:
            self.wait_cloud_init(id_of(made.server))
        return client.servers.get_by_id(id_of(made.server))

    def ssh_key(self, client: Client) -> BoundSSHKey:
        """The session's SSH key in the client's project."""
        found = client.ssh_keys.get_by_name("test")
        return found or client.ssh_keys.create("test", Path(f"{self.key}.pub").read_text())

    def folder(self, server_id: int) -> Path:
        """The server's folder on the host."""
        return self.paths.server(server_id)

    def inside(self, server_id: int, command: str, *, check: bool = True, timeout: float = 60) -> str:
        """What a shell command prints inside the machine."""
        return guest.run_inside(self.folder(server_id), "sh", "-c", command, check=check, timeout=timeout)

    def wait_cloud_init(self, server_id: int) -> None:
        """Return once cloud-init is done, without errors."""

        def result() -> str:
            with contextlib.suppress(BackendError):
                return self.inside(server_id, "cat /run/cloud-init/result.json", check=False)
            return ""

        try:
            text = wait_for(result, 90, f"cloud-init done in server {server_id}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{guest.console(self.folder(server_id))[-3000:]}") from None
        assert json.loads(text)["v1"]["errors"] == [], text

    def boots(self, server_id: int) -> int:
        """How often the machine has booted since it was started last (reboots from inside count)."""
        state = read_json(self.folder(server_id) / "state.json")
        return int(state["boots"]) if state and guest.leader(self.folder(server_id)) else 0

    def ping(self, server_id: int, ip: str) -> bool:
        """True if the machine gets an answer from there."""
        return " 0% packet loss" in self.inside(server_id, f"ping -c 2 -i 0.2 -W 2 {ip}", check=False)

    def ssh(self, ip: str, command: str) -> str:
        """What a command prints over SSH from the host."""
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5"]
        options += ["-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-i", str(self.key)]
        done = subprocess.run(["ssh", *options, f"root@{ip}", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def local_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The session's local cloud. One that runs on this machine already is stopped meanwhile and started again after."""
    assert os.getuid() == 0, "cloud tests need root"
    shared = paths_from_env()
    shared.cache.mkdir(parents=True, exist_ok=True)
    paths = Paths(cache=shared.cache, cloud=shared.cache / f"cloud-test-{uuid.uuid4().hex[:8]}")
    with (shared.cache / ".cloud-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = read_json(OWNER_FILE)
        other = LocalCloud(Paths(shared.cache, Path(running["cloud"])), Path()) if isinstance(running, dict) else None
        if other:
            other.cli("down", check=False)  # what is left after it, `up` reports
        if other and other.paths.cloud.name.startswith("cloud-test-"):  # of tests that were killed
            shutil.rmtree(other.paths.cloud, ignore_errors=True)
            other = None
        key = tmp_path_factory.mktemp("ssh") / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        cloud = LocalCloud(paths, key)
        try:
            cloud.up()
            yield cloud
        finally:
            cloud.cli("down", check=False)
            left = cleanup.leftovers(paths)
            if not left:
                shutil.rmtree(paths.cloud, ignore_errors=True)
            if other:
                other.up()
        assert left == []


@pytest.fixture
def project(local_cloud: LocalCloud) -> Iterator[Client]:
    """A client in a new project; its servers, volumes and load balancers are deleted after the test."""
    client = local_cloud.client()
    yield client
    for balancer in client.load_balancers.get_all():
        balancer.delete()
    for server in client.servers.get_all():
        server.delete().wait_until_finished(120)
    for volume in client.volumes.get_all():
        volume.delete()
