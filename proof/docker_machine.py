"""The machine with Docker for `make proof-docker`, the images on it, and the stack's config."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
from hcloud import Client
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType

from infra import keys
from ops import local, up
from ops.engine import Engine, OperatorError
from ops.paths import REPO, stack_dir, write_private
from ops.show import say

STACK = "proof-docker"
MACHINE = "proof-docker"
USER_DATA = """#cloud-config
bootcmd: # Docker's layers on a file system of their own: on the machine's overlay they would be copies
- [sh, -c, "mkdir -p /var/lib/docker && mountpoint -q /var/lib/docker || mount DEVICE /var/lib/docker"]
package_update: true
packages: [docker.io, docker-cli, docker-compose, mmdebstrap]
"""
IMAGES = {
    "base": ["python3", "python3-venv", "ca-certificates"],
    "postgres": ["postgresql-17"],
    "caddy": ["caddy", "netcat-openbsd", "ca-certificates"],
}
SSH = [
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "BatchMode=yes",
]


class Proof:
    """The machine, the stack on it, and the rows of the table."""

    def __init__(self) -> None:
        self.folder = stack_dir(STACK)
        self.public_key = local.ssh_key(self.folder)
        self.key = self.folder / "ssh_key"
        self.rows: list[tuple[str, str, bool]] = []
        self.seconds: dict[str, float] = {}
        self.address = ""
        self.engine = Engine(STACK, self.folder / f"Pulumi.{STACK}.yaml")

    def note(self, promise: str, found: str, kept: bool) -> None:
        say(f"{'kept' if kept else 'BROKEN'}: {promise}: {found}")
        self.rows.append((promise, found, kept))

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        say(f"{name} ...")
        start = time.monotonic()
        result = work()
        self.seconds[name] = round(time.monotonic() - start, 1)
        return result

    def remote(self, command: str, *, stdin: bytes | None = None, check: bool = True) -> str:
        """What `command` prints on the machine, run by root. Raises OperatorError when it fails."""
        ssh = ["ssh", *SSH, "-i", str(self.key), f"root@{self.address}", command]
        done = subprocess.run(ssh, input=stdin, capture_output=True, check=False, timeout=600)
        if check and done.returncode:
            raise OperatorError(f"`{command[:80]}` on the machine: {done.stderr.decode()[-2000:]}")
        return done.stdout.decode()

    def boot(self) -> None:
        """A new machine with Docker, in a project of its own of the running local cloud."""
        command = [sys.executable, "-m", "localcloud", "env", "--json"]
        env = json.loads(subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True).stdout)
        client = Client(token=env["HCLOUD_TOKEN"], api_endpoint=env["HCLOUD_ENDPOINT"], poll_interval=0.1)
        self.remove(client)
        key = client.ssh_keys.create(MACHINE, self.public_key)
        place = Location(name="fsn1")
        volume = client.volumes.create(size=20, name=MACHINE, location=place, format="ext4")
        volume.action.wait_until_finished(60)
        device = str(volume.volume.linux_device)
        made = client.servers.create(
            volumes=[volume.volume], automount=False,
            name=MACHINE, server_type=ServerType(name="cx33"), image=Image(name="debian-13"),
            location=place, ssh_keys=[key], user_data=USER_DATA.replace("DEVICE", device),
        )  # fmt: skip
        made.action.wait_until_finished(120)
        network = client.servers.get_by_name(MACHINE).public_net  # type: ignore[union-attr]
        self.address = str(network.ipv4.ip)  # type: ignore[union-attr]
        self.client = client
        end = time.monotonic() + 300
        while "done" not in self.remote("cloud-init status", check=False):
            if time.monotonic() > end:
                raise OperatorError(f"Docker is not installed after 300 s: {self.remote('cloud-init status --long')}")
            time.sleep(1)

    def remove(self, client: Client) -> None:
        """Delete the machine and its key, if they are there."""
        if server := client.servers.get_by_name(MACHINE):
            server.delete().wait_until_finished(60)
        if volume := client.volumes.get_by_name(MACHINE):
            volume.detach().wait_until_finished(60) if volume.server else None
            volume.delete()
        if key := client.ssh_keys.get_by_name(MACHINE):
            key.delete()

    def images(self) -> None:
        """Images of Debian packages on the machine, from its own mirror."""
        self.remote("cat >/root/debian-image", stdin=(REPO / "app" / "debian-image").read_bytes())
        for name, packages in IMAGES.items():
            self.remote(f"bash /root/debian-image sekha-{name}:trixie {' '.join(packages)}")

    def configure(self) -> None:
        """A config of the stack for this machine, with new secrets."""
        for path in (self.engine.config_path, self.folder / "passphrase"):
            path.unlink(missing_ok=True)
        options = [*SSH, "-i", str(self.key)]
        lines = {
            "sekha:cloud": "docker",
            "docker:host": f"ssh://root@{self.address}",
            "docker:sshOpts": options,
            "sekha:images": {name: f"sekha-{name}:trixie" for name in IMAGES},
        }
        write_private(self.engine.config_path, json.dumps({"config": lines}))
        up.carry_wheels(self.engine)
        self.engine.select()
        up.docker_plugin(self.engine)
        self.engine.set("sekha:apiKey", keys.generate_api_key(), secret=True)
        self.engine.set("sekha:stackKey", keys.generate_stack_key(), secret=True)

    def forget(self) -> None:
        """Remove the stack of an earlier run from the state; what it made went with its machine."""
        engine = self.engine
        if engine.config_path.exists():
            command = [
                "pulumi",
                "--non-interactive",
                "stack",
                "rm",
                "--yes",
                "--force",
                "--preserve-config",
                "--stack",
                STACK,
            ]
            subprocess.run(command, cwd=self.folder, env=engine.environment(), capture_output=True, check=False)

    def service(self, outputs: dict[str, Any]) -> httpx.Client:
        context = ssl.create_default_context(cafile=outputs["caFile"])
        headers = {"Authorization": f"Bearer {outputs['apiKey']}"}
        return httpx.Client(base_url=outputs["url"], headers=headers, verify=context, timeout=30)

    def leftovers(self) -> list[str]:
        """Containers, networks and volumes of the stack on the machine."""
        found = []
        for kind, command in (("container", "ps -a"), ("network", "network ls"), ("volume", "volume ls")):
            shape = "{{.Names}}" if kind == "container" else "{{.Name}}"
            lines = self.remote(f"docker {command} --filter label=sekha-stack={STACK} --format '{shape}'").split()
            found += [f"{kind} {name}" for name in lines]
        return found
