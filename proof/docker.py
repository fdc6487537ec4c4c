"""`make proof-docker`: the Docker stack on a Docker engine inside a machine of the local cloud, by the real engine.

A machine boots with Debian's Docker; images of Debian packages stand in for a registry's, which can't be reached; `up`
builds ours from app/Dockerfile over SSH and starts everything; a conversation goes in through Caddy and is found. Then:
`up` changes nothing, no secret is where `docker inspect` or the state shows it, only 80 and 443 are open, `destroy`
leaves the protected data volume alone, compose.yaml starts the same on it, and the conversation is still there.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from hcloud import Client
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType

from infra import containers, keys
from ops import compose, local, up
from ops.engine import Engine, OperatorError
from ops.paths import REPO, stack_dir, write_private
from ops.show import json_line, say, table

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
WORDS = "the heron waits at the weir before dawn"


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


def run(proof: Proof) -> None:
    """Every step in order; each adds its row."""
    proof.timed("machine with Docker", proof.boot)
    proof.timed("images of Debian packages", proof.images)
    proof.forget()
    proof.configure()
    engine = proof.engine
    proof.timed("pulumi up", lambda: engine.up("--yes", "--skip-preview"))
    outputs = engine.outputs()
    with proof.service(outputs) as client:
        health = client.get("/health").json()
        proof.note("health through Caddy", str(health.get("status")), health.get("status") == "healthy")
        note = uuid.uuid4().hex
        body = {"label": note, "folder": "/proof", "messages": [{"role": "user", "content": WORDS}]}
        written = client.post("/api/v1/conversations", json=body)
        proof.note("a conversation written", str(written.status_code), written.is_success)
        identity = str(written.json().get("id"))
        read = client.get(f"/api/v1/conversations/{identity}")
        proof.note("and read", str(read.status_code), read.is_success and note in read.text)
        found = search(client, identity)
        proof.note("and found by meaning", f"after {found} s", found >= 0)
    try:
        proof.timed("pulumi up again", lambda: engine.up("--yes", "--skip-preview", "--expect-no-changes"))
        engine.run("preview", "--refresh", "--expect-no-changes")
        proof.note("up again", "no change", True)
    except OperatorError as error:
        proof.note("up again", str(error), False)
    secrets(proof)
    proof.timed("destroy", lambda: engine.run("destroy", "--yes", "--skip-preview", "--exclude-protected"))
    left = proof.leftovers()
    proof.note("destroy leaves", ", ".join(left), left == [f"volume sekha-{STACK}-postgres"])
    composed(proof, outputs, identity)


def search(client: httpx.Client, identity: str) -> float:
    """Seconds until the conversation is found by meaning; -1 after 60 s."""
    start = time.monotonic()
    while time.monotonic() - start < 60:
        answer = client.post(
            "/api/v1/query", json={"query": "bird standing by the river early in the morning", "limit": 5}
        )
        if answer.is_success and identity in answer.text:
            return round(time.monotonic() - start, 1)
        time.sleep(0.5)
    return -1


def secrets(proof: Proof) -> None:
    """No secret is where a look at the engine or at the state shows it; limits and ports are as told."""
    clear = proof.engine.secrets()
    secret = {"api key": clear["sekha:apiKey"], "stack key": clear["sekha:stackKey"]}
    secret["database password"] = containers.password(clear["sekha:stackKey"])
    text = proof.remote(
        "docker inspect $(docker ps -aq); docker ps -a --no-trunc; "
        "docker history --no-trunc $(docker images -q sekha-service | head -1)"
    )
    inside = [name for name, value in secret.items() if value in text]
    proof.note("secrets in docker inspect", ", ".join(inside) or "none", not inside)
    state = proof.engine.capture("stack", "export")
    inside = [name for name, value in secret.items() if value in state]
    proof.note("secrets in plain state", ", ".join(inside) or "none", not inside)
    rows = json.loads(proof.remote("docker inspect $(docker ps -aq)"))
    named = {row["Config"]["Hostname"]: row for row in rows}
    ports = sorted({port for row in rows for port in row["HostConfig"]["PortBindings"] or {}})
    proof.note("published ports", ", ".join(ports), ports == ["443/tcp", "80/tcp"])
    sekha = named["sekha"]["HostConfig"]
    most, kept = sekha["Memory"] >> 20, sekha["MemoryReservation"] >> 20
    limits = f"{sekha['NanoCpus'] / 1e9:g} CPUs, {most} MiB, reserved {kept} MiB"
    proof.note("the guide's limits", limits, limits == "2 CPUs, 4096 MiB, reserved 2048 MiB")
    roots = [
        name for name, row in named.items() if row["Config"]["User"] in ("", "0", "0:0") and row["State"]["Running"]
    ]
    proof.note("containers running as root", ", ".join(roots) or "none", not roots)
    modes = proof.remote("stat -c '%a %u' /var/lib/docker/volumes/*-files/_data/*").split("\n")
    proof.note(
        "files' modes and owners",
        ", ".join(sorted(set(filter(None, modes)))),
        all(m.startswith("600 ") for m in modes if m),
    )


def composed(proof: Proof, outputs: dict[str, Any], identity: str) -> None:
    """The same from compose.yaml, on the volume that destroy left."""
    folder = proof.folder / "compose"
    os.environ["OUT"] = str(folder)
    compose.write_for(proof.engine)
    packed = subprocess.run(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    proof.remote("mkdir -p /root/compose && tar -C /root/compose --no-same-owner -x", stdin=packed)
    proof.remote("cd /root/compose && docker compose config --quiet")
    proof.note("docker compose config", "valid", True)
    proof.timed("docker compose up", lambda: proof.remote("cd /root/compose && docker compose up --detach --wait 2>&1"))
    pem = proof.remote("docker exec sekha-proof-docker-caddy cat /srv/sekha/caddy/pki/authorities/local/root.crt")
    Path(outputs["caFile"]).write_text(pem)
    with proof.service(outputs) as client:
        read = client.get(f"/api/v1/conversations/{identity}")
        proof.note("compose: the conversation is still there", str(read.status_code), read.is_success)
    proof.remote("cd /root/compose && docker compose down")


def main() -> int:
    """Run the proof and show what it found; 1 when a promise is broken."""
    if os.environ.get("KEEP_CLOUD") != "1":
        local.start_cloud()
    proof = Proof()
    try:
        run(proof)
    except OperatorError as error:
        proof.note("the proof runs to its end", str(error), False)
    finally:
        if proof.address and os.environ.get("KEEP") != "1":
            proof.forget()
            proof.remove(proof.client)
    print(table(["step", "seconds"], list(proof.seconds.items())))
    print(
        table(
            ["promise", "found", "kept"], [(name, value, "yes" if kept else "NO") for name, value, kept in proof.rows]
        )
    )
    figures = {"seconds": proof.seconds, "found": {name: value for name, value, _ in proof.rows}}
    json_line(figures | {"broken": [name for name, _, kept in proof.rows if not kept]})
    return 0 if all(kept for _, _, kept in proof.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
