"""What a verification calls good: rows within what the live database did meanwhile, none lost, none too old."""

from __future__ import annotations

import datetime
import threading
from pathlib import Path
from typing import Any

import pytest
from sekha_backup import machine, receipt, recovery, verify, verify_postgres, verify_service
from sekha_backup.machine import Place, RefusedError, place
from sekha_backup.verify import Content, judge
from sekha_backup.verify_postgres import bounds, room

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
GB = 10**9


def at(seconds: float) -> datetime.datetime:
    return NOON + datetime.timedelta(seconds=seconds)


def test_bounds_follow_what_was_inserted_and_deleted_meanwhile() -> None:
    found = bounds({"a": 100, "b": 5}, {"a": [1000, 10], "b": [5, 0]}, {"a": [1007, 13], "b": [5, 0]})
    assert found == {"a": (97, 107), "b": (5, 5)}


def test_counters_that_were_reset_say_nothing() -> None:
    with pytest.raises(RefusedError, match="verify again"):
        bounds({"a": 100}, {"a": [1000, 10]}, {"a": [3, 0]})


@pytest.mark.parametrize(
    ("rows", "newest", "words"),
    [
        ({"a": 9}, at(0), "a: 9 rows restored, the live database has 10 to 12"),
        ({"a": 13}, at(0), "a: 13 rows restored"),
        ({}, at(0), "a: 0 rows restored"),
        ({"a": 10}, None, "no dated row"),
        ({"a": 10}, at(-61), "newest restored row is 61 s older"),
    ],
)
def test_a_bad_restore_is_refused(rows: dict[str, int], newest: datetime.datetime | None, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        judge(Content(rows, newest), Content({"a": 10}, at(0)), {"a": (10, 12)})


@pytest.mark.parametrize(("newest", "behind"), [(at(0), 0.0), (at(-3), 3.0), (at(9), 0.0)])
def test_a_good_restore(newest: datetime.datetime, behind: float) -> None:
    assert judge(Content({"a": 11}, newest), Content({"a": 10}, at(0)), {"a": (10, 12)}) == behind


def test_an_empty_database_is_verified_too() -> None:
    assert judge(Content({"a": 0}, None), Content({"a": 0}, None), {"a": (0, 0)}) == 0.0


def test_the_volume_keeps_a_reserve_for_the_database() -> None:
    room(4 * GB, 5 * GB, 20 * GB)
    with pytest.raises(RefusedError, match=r"needs 4100 MB and the volume has 5000 MB free, of which 1000 MB stay"):
        room(4 * GB + 10**8, 5 * GB, 20 * GB)


def test_a_replay_that_eats_the_reserve_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ended = threading.Event()
    monkeypatch.setattr(verify_postgres, "CLUSTERS", tmp_path)
    monkeypatch.setattr(recovery, "end_leftovers", lambda _: ended.set())

    def replay(reserve: int) -> None:
        with verify_postgres.guarded(reserve):
            ended.wait(10 if reserve else 0)
            raise RefusedError("the server is gone")

    with pytest.raises(RefusedError, match="ran short of space"):
        replay(1 << 60)
    with pytest.raises(RefusedError, match="the server is gone"):
        replay(0)


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["a harbour at night"], "harbour"),
        (["", "1234 äöü x", "the beacons"], "beacons"),
        (["x" * 400], ""),
        ([], ""),
    ],
)
def test_the_word_to_search_for(texts: list[str], word: str) -> None:
    assert verify_service.choose_word(texts) == word


BUCKET = {"endpoint": "https://s3.example.com", "region": "r", "name": "b", "addressing": "path"}
PLACE = place("s", BUCKET, lambda: ("a", "b", {}), "ab" * 32)


def test_a_receipt_is_the_stacks_own() -> None:
    sealed = receipt.seal(PLACE, "verification", {"at": "now", "ok": True})
    assert receipt.unseal(PLACE, sealed) == {"kind": "verification", "stack": "s", "at": "now", "ok": True}
    for other, data in ((PLACE, sealed.replace(b"true", b"null")), (place("s", BUCKET, PLACE.keys, "cd" * 32), sealed)):
        with pytest.raises(RefusedError, match="changed, or made with another stack key"):
            receipt.unseal(other, data)


class Fake:
    """A Subject whose step `broken` fails."""

    def __init__(self, broken: str = "") -> None:
        self.broken, self.done = broken, list[str]()

    def _do(self, step: str) -> None:
        self.done.append(step)
        if step == self.broken:
            raise RefusedError("it is broken")

    def clean(self) -> None:
        self._do("clean")

    def mark(self) -> Content:
        self._do("mark")
        return Content({"messages": 1}, NOON)

    def restore(self) -> dict[str, Any]:
        self._do("restore")
        return {"backup": "B", "bytes": 7}

    def checksums(self) -> int:
        self._do("checksums")
        return 3

    def open(self) -> str:
        return "url"

    def structure(self) -> int:
        return 13

    def content(self) -> Content:
        return Content({"messages": 1}, NOON)

    def bounds(self, marked: Content) -> dict[str, tuple[int, int]]:
        return {"messages": (1, 1)}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """The receipts that a verification stores; machine and bucket are not there."""
    kept: list[dict[str, Any]] = []

    def publish(_place: Place, _kind: str, figures: dict[str, Any], history: bool) -> str:
        kept.append(figures)
        return "key"

    monkeypatch.setattr(verify, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(receipt, "OWN", tmp_path)
    monkeypatch.setattr(receipt, "publish", publish)
    monkeypatch.setattr(machine, "own_place", lambda: PLACE)
    monkeypatch.setattr(machine, "node", lambda: "n")
    monkeypatch.setattr(verify_service, "ask", lambda url, messages: {"conversations": messages})
    return kept


def test_a_good_verification_leaves_a_receipt_and_nothing_else(published: list[dict[str, Any]]) -> None:
    subject = Fake()
    figures = verify.verify(subject)
    assert (figures["ok"], figures["pages"], figures["message"]) == (True, 3, "")
    assert published == [figures]
    assert subject.done[0] == subject.done[-1] == "clean"


@pytest.mark.parametrize("step", ["mark", "restore", "checksums"])
def test_a_failed_step_is_noted_cleaned_up_and_refused(published: list[dict[str, Any]], step: str) -> None:
    subject = Fake(step)
    with pytest.raises(RefusedError, match="it is broken"):
        verify.verify(subject)
    assert [(receipt["ok"], "it is broken" in receipt["message"]) for receipt in published] == [(False, True)]
    assert subject.done[-1] == "clean"
    assert "checksums" not in published[0]["seconds"]


def test_two_at_once_are_refused(published: list[dict[str, Any]]) -> None:
    with verify.alone(), pytest.raises(RefusedError, match="under way"):
        verify.verify(Fake())
    assert published == []
