"""What the operator is told about a machine's backups, and whose receipts are believed."""

from __future__ import annotations

from typing import Any

import pytest
from sekha_backup import machine, receipt

from ops.engine import OperatorError
from ops.receipt import unseal
from ops.verification import health, rows, verdict

BUCKET = {"endpoint": "https://s3.example.com", "region": "r", "name": "b", "addressing": "path"}
KEY, OTHER = "ab" * 32, "cd" * 32
NOW = 1_795_450_000.0  # 2026-11-23T16:06:40Z
GOOD: dict[str, Any] = {
    "ok": True, "at": "2026-11-23T12:06:40+00:00", "message": "", "backup": "B", "bytes": 5_000_000, "pages": 9,
    "schema": 13, "rows": {"conversations": 3, "messages": 6}, "newest": None, "newest_age_seconds": None,
    "behind_seconds": 0.0, "query": {"word_hits": 1}, "seconds": {"all": 12.4},
}  # fmt: skip
BAD = {"ok": False, "at": "2026-11-20T16:06:40+00:00", "message": "restore: damaged", "seconds": {"archive": 0.7}}
WELL: dict[str, Any] = {
    "at": "2026-11-23T16:05:40+00:00", "problems": [], "backups": 5, "newest_backup": "2026-11-23T02:06:40+00:00",
    "lag": {"seconds": 0.0, "segments": 0, "problem": ""},
}  # fmt: skip


def sealed(stack: str, key: str) -> Any:
    import json

    place = machine.place(stack, BUCKET, lambda: ("a", "b", {}), key)
    return json.loads(receipt.seal(place, "verification", GOOD))


def test_the_machines_seal_is_believed() -> None:
    assert unseal("s", KEY, sealed("s", KEY)) == {"kind": "verification", "stack": "s", **GOOD}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (sealed("s", OTHER), "another stack key"),
        ({**sealed("s", KEY), "mac": ""}, "changed"),
        ({**sealed("s", KEY), "text": sealed("s", KEY)["text"].replace("true", "null")}, "changed"),
        (sealed("t", KEY), "is one of stack 't'"),
    ],
)
def test_no_other_is(content: dict[str, Any], words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        unseal("s", KEY, content)


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        ({}, "verified: never yet (`make verify-backup`)"),
        (GOOD, "verified: 4 hours ago, backup B: 3 conversations, 5 MB in 12 s"),
        (BAD, "verified: FAILED 3 days ago: restore: damaged"),
    ],
)
def test_verdict(figures: dict[str, Any], line: str) -> None:
    assert verdict(figures, NOW) == line


@pytest.mark.parametrize(
    ("check", "lines"),
    [
        ({}, ["backups: the machine has not looked at them yet"]),
        (WELL, ["backups: 5, the newest 14 hours ago; archive 0 s behind, 0 WAL wait"]),
        (
            {**WELL, "problems": ["p"], "backups": 0, "newest_backup": None, "at": "2026-11-23T14:06:40+00:00"},
            [
                "backups: PROBLEM: p",
                "backups: PROBLEM: the machine last looked at them 2 hours ago: is it up?",
                "backups: 0, none complete; archive 0 s behind, 0 WAL wait",
            ],
        ),
    ],
)
def test_health(check: dict[str, Any], lines: list[str]) -> None:
    assert health(check, NOW) == lines


@pytest.mark.parametrize(("figures", "word"), [(GOOD, "good"), (BAD, "NOT good: restore: damaged")])
def test_rows_say_the_verdict_first_however_far_it_came(figures: dict[str, Any], word: str) -> None:
    assert rows(figures)[0] == ("verdict", word)
