"""The lease: one holder, taken over only when it is old or released, and a loser that notices."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sekha_backup import machine
from sekha_backup.bucket import Answer
from sekha_backup.lease import TTL, Lease, LostError, fence
from sekha_backup.machine import Place, RefusedError, place

BUCKET = {"endpoint": "https://s3.example.com", "region": "r", "name": "b", "addressing": "path"}


def stack_place() -> Place:
    return place("s", BUCKET, lambda: ("a", "b", {}), "ab" * 32)


class Store:
    """A bucket with conditional writes and a clock of its own."""

    def __init__(self) -> None:
        self.place, self.now, self.body, self.written = stack_place(), 0.0, b"", 0.0
        self.on_get: list[Any] = []

    @property
    def etag(self) -> str:
        return hashlib.sha256(self.body + str(self.written).encode()).hexdigest() if self.body else ""

    def get(self, key: str) -> Answer:
        if self.on_get:
            self.on_get.pop(0)()
        return Answer(200 if self.body else 404, self.body, self.etag, self.now - self.written)

    def put(self, key: str, body: bytes, if_match: str = "", if_none: bool = False) -> Answer:
        if (if_none and self.body) or (if_match and if_match != self.etag):
            return Answer(412, b"", "", 0)
        self.body, self.written = body, self.now
        return Answer(200, b"", self.etag, 0)


@pytest.fixture
def store() -> Store:
    return Store()


def lease(store: Store, holder: str) -> Lease:
    def sleep(seconds: float) -> None:
        store.now += seconds

    return Lease(store, holder, "node", sleep)  # type: ignore[arg-type]


def test_the_first_takes_it_and_keeps_it(store: Store) -> None:
    one = lease(store, "1")
    assert one.take() == {}
    store.now = 10 * TTL
    one.renew()
    assert lease(store, "1").take()["holder"] == "1"


def test_a_dead_holder_is_waited_for(store: Store) -> None:
    lease(store, "1").take()
    two = lease(store, "2")
    assert two.take()["holder"] == "1"
    assert TTL <= store.now < TTL + 10


def test_a_living_holder_is_never_robbed(store: Store) -> None:
    one = lease(store, "1")
    one.take()

    def renewed() -> None:
        one.renew()

    store.on_get = [lambda: None, lambda: None, renewed]
    with pytest.raises(RefusedError, match=r"another machine is this stack's primary: node \(instance 1\)"):
        lease(store, "2").take()
    assert json.loads(store.body)["holder"] == "1"


def test_of_two_that_come_at_once_one_wins(store: Store) -> None:
    lease(store, "0").take()
    store.now = 2 * TTL
    two, three = lease(store, "2"), lease(store, "3")
    store.on_get = [lambda: None, two.take]  # between three's look and its write
    state, answer = three.look()
    two.take()
    assert not three._write(state, answer.etag)
    with pytest.raises(LostError, match=r"node \(instance 2\) since"):
        three.renew()


def test_the_loser_notices_at_its_next_renewal(store: Store) -> None:
    one = lease(store, "1")
    one.take()
    store.now = 2 * TTL
    lease(store, "2").take()
    with pytest.raises(LostError, match="instance 2"):
        one.renew()


def test_released_it_is_free_at_once(store: Store) -> None:
    one = lease(store, "1")
    one.take()
    one.renew(released=True)
    lease(store, "2").take()
    assert store.now == 0


def test_who_has_the_volume_inherits_at_once(store: Store) -> None:
    lease(store, "1").take()
    two = lease(store, "2")
    two.heir_of = "1"
    two.take()
    assert (store.now, json.loads(store.body)["holder"]) == (0, "2")
    store.now = 1
    three = lease(store, "3")
    three.heir_of = "1"
    assert three.take()["holder"] == "2"
    assert store.now > TTL


def test_it_remembers_that_the_stack_had_data(store: Store) -> None:
    one = lease(store, "1")
    one.take()
    one.renew(data=True)
    one.renew()
    store.now = 2 * TTL
    assert lease(store, "2").take()["data"] is True
    assert json.loads(store.body)["data"] is True


def test_a_lease_that_was_wiped_is_written_again(store: Store) -> None:
    one = lease(store, "1")
    one.take()
    store.body = b""
    one.renew()
    assert json.loads(store.body)["holder"] == "1"


@pytest.fixture
def marked(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that takes a delete marker for an object: nothing can be written where nothing is."""
    put = store.put

    def refusing(key: str, body: bytes, if_match: str = "", if_none: bool = False) -> Answer:
        return Answer(412, b"", "", 0) if if_none and not store.body else put(key, body, if_match, if_none)

    monkeypatch.setattr(store, "put", refusing)
    return store


def test_a_deleted_lease_is_taken_where_the_store_counts_its_marker(marked: Store) -> None:
    one = lease(marked, "1")
    one.take()
    assert json.loads(marked.body)["holder"] == "1"
    marked.body = b""
    one.renew()
    assert json.loads(marked.body)["holder"] == "1"


def test_of_two_that_saw_it_deleted_the_last_one_wins(marked: Store) -> None:
    one = lease(marked, "1")
    one.sleep = lambda _: marked.put("", json.dumps({"holder": "2"}).encode())
    assert not one._write({}, "")
    assert json.loads(marked.body)["holder"] == "2"


@pytest.mark.parametrize("there", [True, False])
def test_only_a_volume_with_data_is_fenced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: bool) -> None:
    """A rebuild that was refused leaves a blank volume: the next one may restore on it."""
    main, fenced, stopped = tmp_path / "main", tmp_path / "fenced.json", list[tuple[str, ...]]()
    monkeypatch.setattr(machine, "MAIN", main)
    monkeypatch.setattr(machine, "DATABASE", tmp_path / "sekha.db")
    monkeypatch.setattr(machine, "FENCED", fenced)
    monkeypatch.setattr(machine, "BRANCHED", tmp_path / "branched.json")
    monkeypatch.setattr(subprocess, "run", lambda argv, **_: stopped.append(argv))
    if there:
        main.mkdir()
    fence("node (instance 2)", stack_place().key_id)
    assert fenced.exists() is there
    went_on = machine.read(machine.BRANCHED).get("key")
    assert (went_on == stack_place().key_id) is there
    assert went_on != place("s", BUCKET, lambda: ("a", "b", {}), "cd" * 32).key_id  # after a rotation it may serve
    assert [tuple(argv[:2]) for argv in stopped] == [("systemctl", "stop")]
