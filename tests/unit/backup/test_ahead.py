"""What is downloaded before the lease is ours: used when it is still right, gone when the lease is not won."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sekha_backup import bring_up, fetch, files, holes, machine
from sekha_backup.ahead import Ahead
from sekha_backup.bring_up import Database, Source
from sekha_backup.lease import SILENT, TTL
from sekha_backup.machine import RefusedError
from sekha_backup.repository import RepositoryError

from tests.support import wait_for
from tests.unit.backup.test_decide import BACKUP
from tests.unit.backup.test_lease import Store, lease, stack_place

OWN, OTHER = Source("s", (), (BACKUP,)), Source("other", (), (BACKUP,))


def test_its_result_is_waited_for_and_a_failure_is_none() -> None:
    held = threading.Event()

    def work() -> dict[str, Any]:
        held.wait(10)
        return {"label": "x"}

    ahead = Ahead(work)
    assert ahead.result() == {}  # never begun
    assert not ahead.stop()
    ahead.start()
    held.set()
    assert ahead.result() == {"label": "x"}

    def fails() -> dict[str, Any]:
        raise RefusedError("damaged")

    failed = Ahead(fails)
    failed.start()
    assert failed.result() == {}


def test_stopping_ends_its_programs_and_no_others(tmp_path: Path) -> None:
    """The work goes from one program to the next: each is ended."""
    other = subprocess.Popen(["sleep", "600"])
    begun = tmp_path / "begun"

    def work() -> dict[str, Any]:
        subprocess.run(["sh", "-c", f"touch {begun}; exec sleep 600"], check=False)
        subprocess.run(["sleep", "600"], check=True)
        return {"label": "x"}

    ahead = Ahead(work)
    ahead.start()
    wait_for(begun.exists, 10, "the first program runs")
    assert ahead.stop()
    assert ahead.result() == {}
    assert other.poll() is None
    other.kill()
    other.wait()


@dataclass
class Played:
    """A kind of database that notes what is asked of it."""

    sources: list[Source]
    prepare: Callable[[Source], dict[str, Any]]
    asked: list[str] = field(default_factory=list)

    def database(self) -> Database:
        def choose_source(_: Any) -> Source:
            return self.sources.pop(0)

        def prepare(source: Source) -> dict[str, Any]:
            self.asked.append("prepare")
            return self.prepare(source)

        def restore(_: Any, source: Source, target: Any, orders: Any, prepared: Any) -> None:
            self.asked.append(f"restore {source.known} {prepared}")

        note = self.asked.append
        return Database(lambda _: None, lambda: False, choose_source, prepare, lambda: note("discard"), restore,
                        lambda: note("adopt"))  # fmt: skip


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """Of a stack with backups whose primary renewed its lease for the last time 30 s ago."""
    store = Store()
    lease(store, "1").take()
    store.now = SILENT + 5
    two = lease(store, "2")
    monkeypatch.setattr(bring_up, "of_this_machine", lambda: two)
    monkeypatch.setattr(machine, "own_place", stack_place)
    monkeypatch.setattr(machine, "orders", dict)
    monkeypatch.setattr(bring_up, "refuse_other_kind", lambda: None)
    monkeypatch.setattr(bring_up, "_target_once", lambda *_: None)
    monkeypatch.setattr(bring_up, "HOLDER", tmp_path / "holder")
    monkeypatch.setattr(files, "bring_back", lambda _: False)
    return store


def test_it_downloads_early_and_looks_again_once_the_lease_is_ours(store: Store) -> None:
    def prepare(_: Source) -> dict[str, Any]:
        assert store.now < TTL  # not ours yet
        return {"label": "x"}

    later = Source("s", (), (BACKUP,), known="a later WAL file")
    played = Played([OWN, later], prepare)
    bring_up.bring_up(played.database())
    assert store.now >= TTL
    assert played.asked == ["prepare", "restore a later WAL file {'label': 'x'}"]


def test_what_fails_early_is_done_again_with_the_lease(store: Store) -> None:
    def prepare(_: Source) -> dict[str, Any]:
        raise RefusedError("the bucket is away")

    played = Played([OWN, OWN], prepare)
    bring_up.bring_up(played.database())
    assert played.asked == ["prepare", "restore  {}"]


def test_a_primary_that_comes_back_ends_it_and_nothing_is_left(store: Store) -> None:
    def renewed() -> None:
        lease(store, "1").renew()

    def prepare(_: Source) -> dict[str, Any]:
        store.on_get = [renewed]
        subprocess.run(["sleep", "600"], check=True)
        return {"label": "x"}

    played = Played([OWN, OWN], prepare)
    with pytest.raises(RefusedError, match="another machine is this stack's primary"):
        bring_up.bring_up(played.database())
    assert played.asked == ["prepare", "discard"]


@pytest.mark.parametrize(("age", "source", "orders"), [
    (0, OWN, {}),  # its holder may well be alive
    (SILENT + 5, OTHER, {"restore_from": {"stack": "other"}}),
    (SILENT + 5, OWN, {"restore_to": "2026-11-23T12:00:00"}),
])  # fmt: skip
def test_when_nothing_is_begun_early(
    store: Store, monkeypatch: pytest.MonkeyPatch, age: float, source: Source, orders: dict[str, Any]
) -> None:
    store.now = age
    monkeypatch.setattr(machine, "orders", lambda: orders)
    played = Played([source, source], lambda _: {"label": "x"})
    if age == 0:
        store.on_get = [lambda: None, lambda: None, lease(store, "1").renew]
        with pytest.raises(RefusedError, match="another machine"):
            bring_up.bring_up(played.database())
        assert played.asked == []
    else:
        bring_up.bring_up(played.database())
        assert played.asked == ["restore  {}"]


@pytest.mark.parametrize("now", [Source("s", (), ()), OTHER])
def test_backups_that_disappear_meanwhile_are_no_reason_to_start_empty(store: Store, now: Source) -> None:
    played = Played([OWN, now], lambda _: {"label": "x"})
    with pytest.raises(RefusedError, match="disappeared from the bucket during the wait"):
        bring_up.bring_up(played.database())
    assert played.asked == ["prepare", "discard"]


def test_early_files_count_only_for_the_backup_that_is_wanted_now(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    newer = BACKUP.__class__("20261123-120100F", "full", BACKUP.start, BACKUP.stop.replace(minute=1), 1000, 100)
    got: list[str] = []
    broken = {newer.label}

    def download(_: Source, backup: Any, target: Any, folder: Path) -> None:
        got.append(backup.label)
        if backup.label in broken:
            raise RepositoryError("damaged", "ERROR: [029]")

    monkeypatch.setattr(fetch, "download", download)
    monkeypatch.setattr(holes, "read", lambda *_: holes.Archive({}, {}))
    assert fetch.fetch(OWN, None, tmp_path, have=BACKUP.label).early
    assert got == []
    both = Source("s", (), (BACKUP, newer))
    # The newer one's files went over them before it turned out to be damaged.
    assert not fetch.fetch(both, None, tmp_path, have=BACKUP.label).early
    assert got == [newer.label, BACKUP.label]
