"""A detachment asked for twice, and an attachment between the two: the attachment stays."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.unit.localcloud.conftest import Rig
from tests.unit.localcloud.test_networks import network
from tests.unit.localcloud.test_servers import make


def hold(rig: Rig, monkeypatch: pytest.MonkeyPatch, method: str) -> list[threading.Event]:
    """Two events; the first and second call of the backend's method wait for theirs."""
    events, waiting = [threading.Event(), threading.Event()], iter(range(2))
    real = getattr(rig.backend, method)

    def slow(*arguments: Any) -> None:
        events[next(waiting)].wait(10)
        real(*arguments)

    monkeypatch.setattr(rig.backend, method, slow)
    return events


def test_volume(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make(rig, name="one"), make(rig, name="two")
    made = rig.done(rig.ask("POST", "/volumes", {"name": "v", "size": 10, "server": one["id"]}, 201))
    path = f"/volumes/{made['volume']['id']}"
    events = hold(rig, monkeypatch, "detach_volume")
    answers = [rig.ask("POST", f"{path}/actions/detach", {}, 201) for _ in range(2)]
    events[0].set()
    rig.done(answers[0])
    attached = rig.ask("POST", f"{path}/actions/attach", {"server": two["id"]}, 201)
    events[1].set()
    rig.done(answers[1])
    rig.done(attached)
    assert rig.ask("GET", path)["volume"]["server"] == two["id"]


def test_network(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    server, net = make(rig), network(rig)
    path, body = f"/servers/{server['id']}/actions", {"network": net["id"]}
    rig.done(rig.ask("POST", f"{path}/attach_to_network", body, 201))
    events = hold(rig, monkeypatch, "detach_network")
    answers = [rig.ask("POST", f"{path}/detach_from_network", body, 201) for _ in range(2)]
    events[0].set()
    rig.done(answers[0])
    attached = rig.ask("POST", f"{path}/attach_to_network", body, 201)
    events[1].set()
    rig.done(answers[1])
    rig.done(attached)
    found = rig.ask("GET", f"/servers/{server['id']}")["server"]["private_net"]
    assert [nic["network"] for nic in found] == [net["id"]]
    assert list(rig.backend.nics[server["id"]]) == [net["id"]]
