"""Faults that stay: what they hit, what the API then says, and that nothing is left when they are over."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from localcloud import fault_store
from localcloud.backend import HostFaults
from localcloud.fake_backend import FakeBackend
from localcloud.fault_keeper import draw, holding
from localcloud.faults import Fault
from localcloud.store import Store
from tests.support import wait_for
from tests.unit.localcloud.conftest import Rig, running

SERVERS = [("server", number, f"s{number}") for number in range(1, 41)]
SERVER = {"server_type": "cx23", "image": "debian-13", "location": "fsn1"}


def test_draws() -> None:
    assert draw(Fault("host_loss", resource="server:s2,7"), SERVERS) == (2, 7)
    assert len(draw(Fault("host_loss"), SERVERS)) == 40
    half = draw(Fault("host_loss", probability=0.5, seed=1), SERVERS)
    assert half == draw(Fault("host_loss", probability=0.5, seed=1), SERVERS)
    assert half != draw(Fault("host_loss", probability=0.5, seed=2), SERVERS)
    assert 8 < len(half) < 32
    three = draw(Fault("host_loss", count=3, seed=5), SERVERS)
    assert len(three) == 3
    assert three != draw(Fault("host_loss", count=3, seed=6), SERVERS)


def test_what_holds_together() -> None:
    faults = [
        Fault("partition", resource="server:s1,s2", peer="server:s2,s3", victims=(1, 2)),
        Fault("partition", resource="server:s4", victims=(4,)),
        Fault("volume_loss", victims=(8,)),
        Fault("object_store_hang"),
    ]
    cut = ((frozenset({1, 2}), frozenset({3})), (frozenset({4}), None))
    assert holding(faults, SERVERS) == HostFaults(cut, frozenset({8}), "proxied")
    assert holding([*faults, Fault("object_store_refused")], []).object_store == "refused"
    assert holding([Fault("object_store_refused", count=2)], []).object_store == "proxied"


SENSELESS: list[dict[str, Any]] = [
    {"kind": "partition"}, {"kind": "server_crash", "resource": "volume"}, {"kind": "host_loss", "path": "/servers"},
    {"kind": "volume_loss", "peer": "server:a"}, {"kind": "object_store_hang", "resource": "server"},
    {"kind": "unavailable", "peer": "server"}, {"kind": "partition", "resource": "server", "command": "x"},
]  # fmt: skip


@pytest.mark.parametrize("wish", SENSELESS)
def test_senseless_ones_are_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"has no peer|hits|which machines|one object store"):
        Fault(**wish)


def _settled(rig: Rig) -> bool:
    return all(fault.holds and not fault.over() for fault in fault_store.every(rig.cloud.store) if fault.stays)


def _fault(rig: Rig, kind: str, **wish: Any) -> Fault:
    added = fault_store.add(rig.cloud.store, Fault(kind, **wish))
    wait_for(lambda: _settled(rig), 10, f"{kind} is carried out", 0.02)
    return added


def _server(rig: Rig, name: str) -> int:
    return int(rig.done(rig.ask("POST", "/servers", {**SERVER, "name": name}, 201))["server"]["id"])


def _status(rig: Rig, number: int) -> str:
    return str(rig.ask("GET", f"/servers/{number}")["server"]["status"])


def test_a_crashed_server_is_off_until_it_is_started(rig: Rig) -> None:
    one, other = _server(rig, "one"), _server(rig, "other")
    _fault(rig, "server_crash", resource="server:one")
    assert (_status(rig, one), _status(rig, other)) == ("off", "running")
    assert fault_store.every(rig.cloud.store) == []
    rig.done(rig.ask("POST", f"/servers/{one}/actions/poweron", {}, 201))
    assert _status(rig, one) == "running"


def test_crashes_by_chance_go_on_until_the_count_is_reached(rig: Rig) -> None:
    numbers = [_server(rig, f"s{n}") for n in range(3)]
    fault_store.add(rig.cloud.store, Fault("server_crash", probability=0.4, seed=3, count=2, seconds=0.01))
    wait_for(lambda: not fault_store.every(rig.cloud.store), 20, "two crashes")
    assert sorted(_status(rig, number) for number in numbers) == ["off", "off", "running"]


def test_a_lost_host_comes_back(tmp_path: Path) -> None:
    """Its servers' status is unknown, their actions fail, also after a restart of the daemon; then what ran runs."""
    backend = FakeBackend()
    with closing(Store(tmp_path / "s")) as store:
        token = store.add_token(store.add_project("p"))
    with running(tmp_path / "s", backend, token) as rig:
        ran, off, free = _server(rig, "ran"), _server(rig, "off"), _server(rig, "free")
        rig.done(rig.ask("POST", f"/servers/{off}/actions/poweroff", {}, 201))
        _fault(rig, "host_loss", resource="server:ran,off")
        assert [_status(rig, n) for n in (ran, off, free)] == ["unknown", "unknown", "running"]
    with running(tmp_path / "s", backend, token) as rig:
        assert _status(rig, ran) == "unknown"
        action = rig.ask("POST", f"/servers/{ran}/actions/poweron", {}, 201)["action"]
        assert rig.end_of(f"/actions/{action['id']}")["error"]["message"] == "the server's host is not available"
        assert ran not in backend.running
        fault_store.clear(rig.cloud.store, [])
        wait_for(lambda: _status(rig, ran) == "running", 10, "the server is back", 0.02)
        assert _status(rig, off) == "off"
        assert fault_store.every(rig.cloud.store) == []


def test_what_stays_is_undone_by_time_by_clearing_and_by_the_next_daemon(tmp_path: Path) -> None:
    backend = FakeBackend()
    with closing(Store(tmp_path / "s")) as store:
        token = store.add_token(store.add_project("p"))
    with running(tmp_path / "s", backend, token) as rig:
        number = _server(rig, "a")
        _fault(rig, "partition", resource="server:a")
        assert backend.suffers.partitions == ((frozenset({number}), None),)
        _fault(rig, "object_store_refused", until=time.time() + 0.6)
        assert backend.suffers.object_store == "refused"
        wait_for(lambda: not backend.suffers.object_store, 10, "the outage is over", 0.02)
    with closing(Store(tmp_path / "s")) as store:
        fault_store.clear(store, [])
        assert not fault_store.undone(store, [])
    with running(tmp_path / "s", backend, token):
        wait_for(lambda: backend.suffers == HostFaults(), 10, "the next daemon undoes it", 0.02)
    with closing(Store(tmp_path / "s")) as store:
        assert fault_store.undone(store, [])
