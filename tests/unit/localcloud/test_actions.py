"""Actions: waiting, failing, outliving their objects, and being resumed after a restart."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from localcloud.backend import ServerSpec
from localcloud.fake_backend import FakeBackend
from localcloud.store import Store
from localcloud.worker import WORKERS
from tests.support import wait_for
from tests.unit.localcloud.conftest import Rig, running
from tests.unit.localcloud.test_servers import BASE, act, make


def test_waiting_as_hcloud_go_does(rig: Rig) -> None:
    answer = rig.done(rig.ask("POST", "/servers", BASE, 201))
    ids = [answer["action"]["id"], answer["next_actions"][0]["id"]]
    listed = rig.ask("GET", f"/actions?id={ids[0]}&id={ids[1]}&page=1&sort=status&sort=id")
    assert [action["id"] for action in listed["actions"]] == ids
    assert set(listed["actions"][0]) == {
        "id", "command", "status", "progress", "started", "finished", "resources", "error",
    }  # fmt: skip
    assert all(action["progress"] == 100 and action["finished"] for action in listed["actions"])
    server = f"/servers/{answer['server']['id']}"
    assert [a["command"] for a in rig.ask("GET", f"{server}/actions")["actions"]] == ["create_server", "start_server"]
    assert len(rig.ask("GET", f"{server}/actions?status=running")["actions"]) == 0
    assert rig.ask("GET", f"{server}/actions/{ids[0]}")["action"]["id"] == ids[0]
    assert rig.ask("GET", f"/servers/actions/{ids[0]}")["action"]["id"] == ids[0]
    assert [a["id"] for a in rig.ask("GET", "/servers/actions?sort=id:desc")["actions"]] == ids[::-1]
    assert rig.error("GET", f"/volumes/actions/{ids[0]}") == (404, "not_found")
    rig.done(rig.ask("DELETE", server, status=200))
    assert rig.ask("GET", f"/actions/{ids[0]}")["action"]["status"] == "success"
    assert rig.error("GET", f"{server}/actions") == (404, "not_found")


def test_a_failed_create_says_why_and_can_be_deleted(rig: Rig) -> None:
    rig.backend.fail["create_server"] = "no space left on device"
    answer = rig.ask("POST", "/servers", BASE, 201)
    for action in (answer["action"], answer["next_actions"][0]):
        path = f"/actions/{action['id']}"
        assert rig.end_of(path)["status"] == "error"
    first = rig.ask("GET", f"/actions/{answer['action']['id']}")["action"]
    assert first["error"] == {"code": "action_failed", "message": "no space left on device"}
    rig.done(rig.ask("DELETE", f"/servers/{answer['server']['id']}", status=200))
    assert rig.ask("GET", "/servers")["servers"] == []


def test_a_failed_deletion_can_be_repeated(rig: Rig) -> None:
    server = make(rig)
    rig.backend.fail["delete_server"] = "busy"
    action = rig.ask("DELETE", f"/servers/{server['id']}", status=200)["action"]
    path = f"/actions/{action['id']}"
    assert rig.end_of(path)["status"] == "error"
    del rig.backend.fail["delete_server"]
    rig.done(rig.ask("DELETE", f"/servers/{server['id']}", status=200))


def test_objects_of_different_kinds_never_share_an_id(rig: Rig) -> None:
    server = make(rig)
    ids = [row["id"] for row in rig.ask("GET", "/primary_ips")["primary_ips"]]
    ids += [row["id"] for row in rig.ask("GET", f"/servers/{server['id']}/actions")["actions"]]
    assert len({server["id"], *ids}) == 5


def test_actions_wait_for_their_object_only(rig: Rig) -> None:
    one, two = make(rig, name="one"), make(rig, name="two")
    rig.backend.delay = 0.2
    rig.backend.calls.clear()
    answers = [rig.ask("POST", f"/servers/{s['id']}/actions/poweroff", None, 201) for s in (one, two)]
    volume = rig.ask("POST", "/volumes", {"name": "v", "size": 10, "server": one["id"]}, 201)
    for answer in (*answers, volume):
        rig.done(answer)
    order = [call[:2] for call in rig.backend.calls]
    volume_id = volume["volume"]["id"]
    assert order.index(("create_volume", volume_id)) < order.index(("attach_volume", volume_id))
    assert order.index(("stop_server", one["id"])) < order.index(("attach_volume", volume_id))


class Slow(FakeBackend):
    """A backend whose server creation hangs until told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def create_server(self, spec: ServerSpec) -> None:
        self._call("create_server", spec)
        self.go_on.wait(20)
        super().create_server(spec)


def test_a_restart_resumes_what_was_unfinished(tmp_path: Path) -> None:
    path, copy = tmp_path / "state.db", tmp_path / "copy.db"
    token = new_project(path)
    slow, fresh = Slow(), FakeBackend()
    with running(path, slow, token) as rig:
        answer = rig.ask("POST", "/servers", BASE, 201)
        wait_for(lambda: slow.calls, 5, "the work has begun", 0.01)
        assert rig.ask("GET", f"/servers/{answer['server']['id']}")["server"]["status"] == "initializing"
        # What is on the disk at this moment is what a killed process leaves behind.
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        slow.go_on.set()
        rig.done(answer)
    with running(copy, fresh, token) as rig:
        rig.done(answer)
        found = rig.ask("GET", f"/servers/{answer['server']['id']}")["server"]
        assert (found["name"], found["status"]) == ("s", "running")
        assert list(fresh.servers) == [found["id"]]
        act(rig, found, "poweroff")
    with running(copy, fresh, token) as rig:  # and once more, with nothing left to do
        assert rig.ask("GET", f"/actions/{answer['action']['id']}")["action"]["status"] == "success"
        assert rig.ask("GET", f"/servers/{found['id']}")["server"]["status"] == "off"


def new_project(path: Path) -> str:
    """Make a state file with a project; returns its token."""
    with closing(Store(path)) as store:
        return store.add_token(store.add_project("p"))


def test_a_full_disk_stops_no_worker(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions that can't be recorded stay running, and end once there is room again."""
    store, tried = rig.cloud.store, []

    def full(action_id: int, error: str | None) -> None:
        tried.append(action_id)
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("localcloud.worker.RETRY", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(store, "finish_action", full)
        answer = rig.ask("POST", "/volumes", {"name": "v", "size": 10, "location": "fsn1"}, 201)
        wait_for(lambda: len(tried) > 2 * WORKERS, 10, "the action is tried again and again")
        assert rig.ask("GET", f"/actions/{answer['action']['id']}")["action"]["status"] == "running"
    rig.done(answer)
