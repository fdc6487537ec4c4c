"""Backups as they were at a time, from object versions: what is copied, what is hidden, and that twice is once."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from infra.object_store import Store
from ops import undelete
from ops.engine import OperatorError
from ops.undelete import Step, Version, plan, waves

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)


def version(minute: float, content: str, *, latest: bool = False, key: str = "a") -> Version:
    """Written `minute` minutes after noon; "" is a delete marker."""
    at = NOON + datetime.timedelta(minutes=minute)
    return Version(key, f"v{minute}", at, latest, not content, content, len(content))


KEPT = [version(-5, "old", latest=True)]
WIPED = [version(-5, "old"), version(5, "", latest=True)]
OVERWRITTEN = [version(-9, "older"), version(-5, "old"), version(5, "new", latest=True)]
GONE_BEFORE = [version(-9, "old"), version(-5, "", latest=True)]
CAME_AFTER = [version(5, "new", latest=True)]
CAME_AND_WENT = [version(5, "new"), version(6, "", latest=True)]
BACK_AGAIN = [version(-9, "old"), version(-5, ""), version(5, "new", latest=True)]
BROUGHT_BACK = [version(-5, "old"), version(5, ""), version(9, "old", latest=True)]


@pytest.mark.parametrize(
    ("rows", "step"),
    [
        (KEPT, None),
        (WIPED, Step("a", WIPED[0], WIPED[1])),
        (OVERWRITTEN, Step("a", OVERWRITTEN[1], OVERWRITTEN[2])),
        (GONE_BEFORE, None),
        (CAME_AFTER, Step("a", None, CAME_AFTER[0])),
        (CAME_AND_WENT, None),
        (BACK_AGAIN, Step("a", None, BACK_AGAIN[2])),
        (BROUGHT_BACK, None),
    ],
)
def test_plan(rows: list[Version], step: Step | None) -> None:
    for order in (rows, rows[::-1]):
        assert plan(order, NOON) == ([step] if step else [])


def test_deletions_are_told_by_event() -> None:
    rows = [version(minute, "", latest=True, key=str(minute)) for minute in (0, 1, 5, 60)]
    assert waves([*rows, version(2, "there", latest=True)]) == [
        (rows[0].at, rows[2].at, 3),
        (rows[3].at, rows[3].at, 1),
    ]


@pytest.mark.parametrize(
    ("name", "minute"), [("01M84JNVXZ4W1XZH3B0Z2CWM5P", (16, 8)), ("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", (12, 0))]
)
def test_when_a_version_was_written(name: str, minute: tuple[int, int]) -> None:
    found = undelete.written({"VersionId": name, "LastModified": NOON})
    assert (found.date(), (found.hour, found.minute)) == (NOON.date(), minute)


class S3:
    """Remembers what was done, and the metadata of copies."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self.metadata: dict[str, str] = {}

    def copy_object(self, **call: Any) -> None:
        self.done.append((call["Key"], call["CopySource"]["VersionId"]))
        self.metadata = call["Metadata"]

    def delete_object(self, **call: Any) -> None:
        self.done.append((call["Key"], ""))

    def head_object(self, **_: Any) -> dict[str, Any]:
        return {"Metadata": self.metadata}


def test_nothing_is_done_twice_and_no_version_is_deleted() -> None:
    s3 = S3()
    store = Store(s3, "bucket")  # type: ignore[arg-type]
    assert undelete.carry_out(store, plan([*WIPED, version(5, "x", latest=True, key="b")], NOON)) == (1, 1)
    assert s3.done == [("a", "v-5"), ("b", "")]
    copied = version(9, "oLd", latest=True)  # the store gave the copy another entity tag
    assert undelete.carry_out(store, plan([*WIPED[:1], copied], NOON)) == (0, 0)


@pytest.mark.parametrize(("text", "words"), [("noon", "is no time"), ("2999-01-01", "is in the future")])
def test_a_time_that_is_none(text: str, words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        undelete.moment(text)
