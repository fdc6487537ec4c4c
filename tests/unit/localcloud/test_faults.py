"""Faults: which requests and actions they hit, how often, and what a client then sees."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hcloud import APIException
from hcloud.actions import ActionFailedException

from localcloud import fault_cli, fault_store
from localcloud.faults import Fault, matches_action, matches_request, resource_of
from localcloud.store import Store
from tests.support import wait_for
from tests.unit.localcloud.conftest import Rig

NETWORK = {"name": "n", "ip_range": "10.0.0.0/16"}
WEB = [("server", 7, "web-1")]
REQUESTS: list[tuple[dict[str, Any], str, str, bool]] = [
    ({}, "GET", "/servers", True),
    ({"path": "/servers/*/actions/*"}, "POST", "/servers/7/actions/reboot", True),
    ({"path": "/servers/*/actions/*"}, "POST", "/servers", False),
    ({"method": "post"}, "POST", "/servers", True),
    ({"method": "POST"}, "GET", "/servers", False),
    ({"resource": "server"}, "POST", "/servers", True),
    ({"resource": "server"}, "POST", "/networks", False),
    ({"resource": "server:7"}, "GET", "/servers/7", True),
    ({"resource": "server:web-1"}, "GET", "/servers/7", True),
    ({"resource": "server:8"}, "GET", "/servers/7", False),
]


@pytest.mark.parametrize(("wish", "method", "path", "hit"), REQUESTS)
def test_requests_chosen(wish: dict[str, Any], method: str, path: str, hit: bool) -> None:
    names = WEB if path.startswith("/servers/7") else []
    assert matches_request(Fault("unavailable", **wish), method, path, names) is hit


def test_what_changes_nothing_is_not_locked() -> None:
    assert not matches_request(Fault("locked"), "GET", "/servers", [])
    assert matches_request(Fault("locked", method="GET"), "GET", "/servers", [])
    assert resource_of("/load_balancers/12/actions") == ("load_balancer", 12)
    assert resource_of("/storage_boxes/12/snapshots") == ("storage_box", 12)


def test_actions_chosen() -> None:
    both = [*WEB, ("network", 9, "n")]
    assert matches_action(Fault("slow_action", command="create_*"), "create_server", WEB)
    assert not matches_action(Fault("slow_action", command="create_*"), "start_server", WEB)
    assert matches_action(Fault("failed_action", resource="network:n"), "attach_to_network", both)
    assert not matches_action(Fault("failed_action", resource="network"), "start_server", WEB)
    assert not matches_action(Fault("locked"), "start_server", WEB)


@pytest.mark.parametrize(
    "wish",
    [{"kind": "sadness"}, {"probability": 0}, {"probability": 1.1}, {"count": 0}, {"seconds": -1}, {"command": "x"},
     {"kind": "slow_action", "path": "/servers"}],
)  # fmt: skip
def test_senseless_faults_are_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"there are|must be|choose them"):
        Fault(**{"kind": "unavailable", **wish})


def test_draws_repeat(tmp_path: Path) -> None:
    def draw(seed: int, name: str) -> list[bool]:
        with closing(Store(tmp_path / name)) as store:
            fault_store.add(store, Fault("unavailable", probability=0.5, seed=seed))
            return [fault_store.for_request(store, "GET", "/servers") is not None for _ in range(40)]

    first = draw(1, "a")
    assert first == draw(1, "b") != draw(2, "c")
    assert 8 < sum(first) < 32


def test_a_fault_outlives_the_process_and_is_used_up(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "s")) as store:
        fault_store.add(store, Fault("locked", count=2))
        assert fault_store.for_request(store, "POST", "/servers")
    with closing(Store(tmp_path / "s")) as store:
        assert fault_store.for_request(store, "GET", "/servers") is None
        assert fault_store.for_request(store, "POST", "/servers")
        assert fault_store.for_request(store, "POST", "/servers") is None
        assert fault_store.listed(store) == []


ANSWERED = [
    ("rate_limit_exceeded", 429), ("unavailable", 503), ("timeout", 504), ("locked", 423), ("conflict", 409),
    ("resource_unavailable", 412), ("resource_limit_exceeded", 403),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "status"), ANSWERED)
def test_answers(rig: Rig, kind: str, status: int) -> None:
    """The request is refused, its effect is not there, and the next one goes through."""
    fault_store.add(rig.cloud.store, Fault(kind, method="POST", count=1))
    assert rig.error("POST", "/networks", NETWORK) == (status, kind)
    assert rig.ask("GET", "/networks", status=200)["networks"] == []
    rig.ask("POST", "/networks", NETWORK, 201)


@pytest.mark.parametrize(("kind", "made"), [("cut", 0), ("cut_after", 1), ("hang", 0)])
def test_cut_connections(rig: Rig, kind: str, made: int) -> None:
    fault_store.add(rig.cloud.store, Fault(kind, path="/networks", method="POST", seconds=0.05))
    with pytest.raises(httpx.TransportError), rig.http() as http:
        http.post("/networks", json=NETWORK)
    assert len(rig.ask("GET", "/networks", status=200)["networks"]) == made


def test_hcloud_python_retries_through_conflict(rig: Rig) -> None:
    fault_store.add(rig.cloud.store, Fault("conflict", count=1))
    assert rig.client().networks.create("n", "10.0.0.0/16").name == "n"


def test_locked_reaches_the_user(rig: Rig) -> None:
    fault_store.add(rig.cloud.store, Fault("locked", count=1))
    with pytest.raises(APIException, match="locked"):
        rig.client().networks.create("n", "10.0.0.0/16")


def test_failed_and_slow_actions(rig: Rig) -> None:
    """A worker's action fails before it did anything; one that is part of its request leaves nothing behind either."""
    client, store = rig.client(), rig.cloud.store
    created = client.volumes.create(10, "v", location=client.locations.get_by_name("fsn1"))
    created.action.wait_until_finished()
    volume = created.volume
    assert volume.id is not None
    number = volume.id
    fault_store.add(store, Fault("failed_action", resource="volume:v", count=1, message="disk on fire"))
    with pytest.raises(ActionFailedException, match="disk on fire"):
        volume.resize(20).wait_until_finished()
    assert client.volumes.get_by_id(volume.id).size == 10
    fault_store.add(store, Fault("failed_action", command="change_protection", count=1))
    with pytest.raises(ActionFailedException):
        volume.change_protection(delete=True).wait_until_finished()
    assert client.volumes.get_by_id(volume.id).protection == {"delete": False}
    fault_store.add(store, Fault("late_action", command="resize_volume", count=1, seconds=0.3))
    action = volume.resize(20)
    wait_for(lambda: rig.backend.volumes[number][0] == 20, 10, "the work is done", 0.01)
    assert client.actions.get_by_id(action.id).status == "running"
    action.wait_until_finished()
    for seconds in (0.2, 0.0):
        fault_store.add(store, Fault("slow_action", count=1, seconds=seconds))
        action = volume.change_protection(delete=seconds > 0)
        assert action.status == "running"
        action.wait_until_finished()
    assert fault_store.listed(store) == []


def test_a_server_whose_creation_failed_can_be_started_later(rig: Rig) -> None:
    fault_store.add(rig.cloud.store, Fault("failed_action", command="create_server", count=1))
    made = rig.ask(
        "POST", "/servers", {"name": "s", "server_type": "cx23", "image": "debian-13", "location": "fsn1"}, 201
    )
    for action in (made["action"], *made["next_actions"]):
        assert rig.end_of(f"/actions/{action['id']}")["status"] == "error"
    path = f"/servers/{made['server']['id']}"
    assert rig.ask("GET", path)["server"]["status"] == "off"
    rig.done(rig.ask("POST", f"{path}/actions/poweron", {}, 201))
    assert rig.ask("GET", path)["server"]["status"] == "running"


def _options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    fault_cli.add_parser(parser.add_subparsers(dest="command"))
    return parser.parse_args(["fault", *words])


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Store(tmp_path / "s")) as store:
        words = ("add", "failed_action", "--command", "create_*", "--resource", "server", "--count", "2")
        assert fault_cli.run(store, _options(*words)).endswith("failed_action resource server, command create_*")
        fault_id = fault_store.listed(store)[0].id
        monkeypatch.setenv("JSON", "1")
        lines = fault_cli.run(store, _options("list")).splitlines()
        assert len(lines) == 3
        assert '"count": 2' in lines[-1]
        with pytest.raises(ValueError, match="no fault 99"):
            fault_cli.run(store, _options("clear", "99"))
        assert fault_cli.run(store, _options("clear", str(fault_id))) == "1 cleared"
        assert fault_cli.run(store, _options("clear")) == "0 cleared"
