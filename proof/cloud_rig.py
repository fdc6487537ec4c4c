"""A few machines of the running local cloud in a project of their own, for proofs of the local cloud itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from hcloud import APIException, Client
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer

from localcloud.machines import addresses as a
from localcloud.machines import netns, records
from localcloud.machines.paths import Paths, paths_from_env
from ops.engine import OperatorError

PACKETS = Path(__file__).with_name("packets.py")
Found = TypeVar("Found")


def localcloud(*words: str, check: bool = True) -> str:
    """What `localcloud WORDS` prints. Raises OperatorError when it fails and `check` is set."""
    done = subprocess.run([sys.executable, "-m", "localcloud", *words], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise OperatorError(f"localcloud {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def until(condition: Callable[[], Found], seconds: float, what: str) -> Found:
    """Wait until the condition is true and return what it gave. Raises OperatorError after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise OperatorError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
    return found


def number_of(thing: Any) -> int:
    """The id of an API object."""
    return int(thing.id)


class CloudRig:
    """The project, its client, and the machines in it."""

    def __init__(self, client: Client, paths: Paths) -> None:
        self.client, self.paths = client, paths

    def server(self, name: str, **wish: Any) -> BoundServer:
        """A new machine, started. Its addresses are there; cloud-init may still be at work."""
        image, place, size = Image(name="debian-13"), Location(name="fsn1"), ServerType(name="cx23")
        made = self.client.servers.create(name=name, server_type=size, image=image, location=place, **wish)
        for action in (made.action, *made.next_actions):
            action.wait_until_finished(180)
        return self.client.servers.get_by_id(number_of(made.server))

    def public(self, server: BoundServer) -> tuple[str, str]:
        """(IPv4, IPv6) of a server: ::1 of its network."""
        spec = records.must_load(self.paths, number_of(server))
        return spec.ipv4 or "", (spec.ipv6_net or "").replace("/64", "1")

    def wait_addresses(self, *servers: BoundServer) -> None:
        """Until cloud-init has configured both public addresses."""
        for server in servers:
            for address in self.public(server):
                until(lambda s=server, x=address: x in _addresses(number_of(s)), 90, f"{address} on {server.name}")  # type: ignore[misc]

    def run(self, server: BoundServer | None, *words: str, text: str = "") -> str:
        """`packets.py WORDS` in the server's network namespace (None: on the host, outside of the cloud)."""
        return _packets(self.command(server, *words), text)

    def router(self, *words: str) -> str:
        """`packets.py WORDS` in the router's network namespace."""
        return _packets([*netns.inside(a.ROUTER_NS), sys.executable, "-I", str(PACKETS), *words])

    def command(self, server: BoundServer | None, *words: str) -> list[str]:
        """The command of `run`."""
        inside = [] if server is None else list(netns.inside(a.server_ns(number_of(server))))
        return [*inside, sys.executable, "-I", str(PACKETS), *words]


def _packets(command: list[str], text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OperatorError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def _addresses(server_id: int) -> set[str]:
    links = netns.query("-n", a.server_ns(server_id), "addr", "show", "dev", "eth0")
    return {row["local"] for link in links for row in link.get("addr_info", [])}


@contextmanager
def rig() -> Iterator[CloudRig]:
    """A rig on the local cloud, which is started if it is down; what was made in the project is deleted afterwards."""
    localcloud("up")
    env = json.loads(localcloud("env", "--new-project", "--json"))
    client = Client(token=env["HCLOUD_TOKEN"], api_endpoint=env["HCLOUD_ENDPOINT"], poll_interval=0.1)
    try:
        yield CloudRig(client, paths_from_env())
    finally:
        _clean(client)


def _clean(client: Client) -> None:
    for balancer in client.load_balancers.get_all():
        balancer.change_protection(delete=False)
        balancer.delete()
    for server in client.servers.get_all():
        server.change_protection(delete=False, rebuild=False)
        server.delete().wait_until_finished(120)
    kinds: list[Any] = [client.volumes, client.floating_ips, client.primary_ips, client.networks, client.images]
    for kind in [*kinds, client.firewalls, client.placement_groups, client.certificates, client.ssh_keys]:
        things = kind.get_all(type=["snapshot", "backup"]) if kind is client.images else kind.get_all()
        for thing in things:
            if hasattr(thing, "change_protection"):
                with suppress(APIException):
                    thing.change_protection(delete=False).wait_until_finished(30)
            thing.delete()
