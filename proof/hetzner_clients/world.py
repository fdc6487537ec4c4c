"""A project as a walk through a resource's life sees it: the client, the project's API, and counted checks."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hcloud import APIException, Client
from hcloud.actions import BoundAction
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.networks import BoundNetwork, NetworkSubnet
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer

from localcloud import certs
from localcloud.commands.common import api_url
from localcloud.fake_backend import FakeBackend
from localcloud.machines.paths import paths_from_env
from localcloud.store import Store
from localcloud.worker import Cloud
from tests.unit.localcloud.conftest import Rig, running

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGSoo5oNlIIHMYRWVGUjpUdrR4ZFtOZ0ZBHd4JjbLNHn a comment"
FSN = Location(name="fsn1")
SMALL, DEBIAN = ServerType(name="cx23"), Image(name="debian-13")
PASSWORD = "Correct-horse-1"  # noqa: S105 - of a storage box that nobody can log in to
PATIENCE = 3000  # polls, a minute at least: the client's own 120 are over in seconds when it polls that fast
T = TypeVar("T")


@dataclass
class World:
    """A fresh project."""

    client: Client
    api: Rig
    folder: Path
    real: bool = False  # real machines behind it, of which there is one image
    checks: int = 0

    def equal(self, what: str, got: object, want: object) -> None:
        """Raises AssertionError unless what came is what was expected."""
        self.checks += 1
        if got != want:
            raise AssertionError(f"{what}: expected {want!r}, got {got!r}")

    def refused(self, code: str, call: Callable[[], Any]) -> None:
        """The call must be refused with that code; invalid_input must say which field."""
        self.checks += 1
        try:
            call()
        except APIException as error:
            if error.code != code:
                raise AssertionError(f"expected {code}, got {error.code}: {error.message}") from None
            if code == "invalid_input" and not error.details["fields"]:
                raise AssertionError("invalid_input without fields") from None
        else:
            raise AssertionError(f"expected {code}, but it was done")

    def done(self, *actions: BoundAction | None) -> None:
        """Wait for actions to succeed."""
        for action in actions:
            if action is not None:
                action.wait_until_finished(max_retries=PATIENCE)
                self.equal(f"{action.command}: status", (action.status, action.progress), ("success", 100))

    def server(self, name: str, **options: Any) -> BoundServer:
        """A server that is made, and started unless the options say otherwise."""
        made = self.client.servers.create(name, SMALL, DEBIAN, location=FSN, **options)
        self.done(made.action, *made.next_actions)
        return made.server

    def network(self, name: str = "net") -> BoundNetwork:
        """A network with one subnet."""
        subnet = NetworkSubnet(ip_range="10.0.1.0/24", type="cloud", network_zone="eu-central")
        return self.client.networks.create(name, "10.0.0.0/16", subnets=[subnet])

    def certificate(self, *names: str) -> tuple[str, str]:
        """A chain and its key, PEM."""
        return certs.issue(self.folder / "ca", list(names))


def some(value: T | None) -> T:
    """What must be there."""
    if value is None:
        raise AssertionError("nothing where something had to be")
    return value


@contextmanager
def live() -> Iterator[Callable[[], World]]:
    """The running local cloud with its real machines; each world is a new project in it."""
    paths = paths_from_env()
    with tempfile.TemporaryDirectory() as name, closing(Store(paths.database)) as store:
        folder = Path(name)
        (folder / "ca").mkdir()
        certs.ensure(folder / "ca")
        backend = FakeBackend()
        with _worlds(Cloud(store, backend), backend, api_url(paths), folder, real=True) as make:
            yield make


@contextmanager
def _worlds(
    cloud: Cloud, backend: FakeBackend, endpoint: str, folder: Path, *, real: bool = False
) -> Iterator[Callable[[], World]]:
    """A function that makes a world of a new project; the connections end with the block."""
    made: list[Rig] = []

    def world() -> World:
        token = cloud.store.add_token(cloud.store.add_project("walk"))
        made.append(Rig(cloud, backend, token, endpoint))
        poll = 0.1 if real else 0.02
        client = Client(token, api_endpoint=endpoint, api_endpoint_hetzner=endpoint, poll_interval=poll)
        return World(client, made[-1], folder, real)

    try:
        yield world
    finally:
        for rig in made:
            if real:
                _empty(rig)
            rig.close()


def _empty(rig: Rig) -> None:
    """Delete what a walk left behind and what takes room on the host."""
    for kind in ("servers", "load_balancers", "volumes", "networks", "floating_ips", "images"):
        for row in rig.ask("GET", f"/{kind}")[kind]:
            if row.get("type") != "system":
                rig.done(rig.ask("DELETE", f"/{kind}/{row['id']}"))


@contextmanager
def serve() -> Iterator[Callable[[], World]]:
    """The API with in-memory machines, on a free loopback port; the function makes a new project."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ca").mkdir()
        certs.ensure(folder / "ca")
        with closing(Store(folder / "state.db")) as store:
            token = store.add_token(store.add_project("first"))
        with running(folder / "state.db", FakeBackend(), token) as rig:
            rig.cloud.issue = functools.partial(certs.issue, folder / "ca")
            with _worlds(rig.cloud, rig.backend, rig.endpoint, folder) as make:
                yield make
