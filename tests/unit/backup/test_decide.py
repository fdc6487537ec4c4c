"""When a machine restores, adopts or starts empty; and that it never does so over data or beside a loss."""

from __future__ import annotations

import datetime

import pytest
from sekha_backup.bring_up import check_target, parse_target
from sekha_backup.decide import Action, Facts, decide
from sekha_backup.machine import RefusedError
from sekha_backup.repository import Backup

EMPTY = {"mode": "auto", "has_data": False, "backups": False, "had_data": False}
NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
BACKUP = Backup("20261123-115900F", "full", NOON - datetime.timedelta(minutes=1), NOON, 1000, 100)


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        ({}, Action.START),
        ({"backups": True}, Action.RESTORE),
        ({"backups": True, "had_data": True, "asked": True}, Action.RESTORE),
        ({"has_data": True}, Action.ADOPT),
        ({"has_data": True, "backups": True, "had_data": True, "asked": True}, Action.ADOPT),
        ({"mode": "never", "backups": True, "had_data": True}, Action.START),
        ({"mode": "never", "has_data": True}, Action.ADOPT),
        ({"backups": True, "branched": True}, Action.RESTORE),
    ],
)
def test_action(facts: dict[str, object], action: Action) -> None:
    assert decide(Facts(**{**EMPTY, **facts})) is action  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"had_data": True}, "the repository that its stackKey opens is empty"),
        ({"asked": True}, "no backup to restore from"),
        ({"has_data": True, "fenced": "sekha-prod-1 (42)"}, "lost its lease to sekha-prod-1 (42)"),
        ({"mode": "never", "has_data": True, "fenced": "x"}, "remove /srv/sekha/fenced.json"),
        ({"has_data": True, "fenced": "x", "branched": True}, "remove /srv/sekha/fenced.json"),
        ({"mode": "never", "has_data": True, "branched": True}, "make rotate KEY=stack"),
    ],
)
def test_refused(facts: dict[str, object], words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        decide(Facts(**{**EMPTY, **facts}))  # type: ignore[arg-type]
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("2026-11-23T11:59:59+00:00", "before the first backup was complete (2026-11-23T12:00:00+00:00)"),
        ("2999-01-01T00:00:00+00:00", "is in the future"),
        ("soon", "is no time"),
    ],
)
def test_a_target_that_no_backup_reaches(target: str, words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_target(parse_target(target), [BACKUP])
    assert words in str(caught.value)


def test_targets_that_are_fine() -> None:
    check_target(None, [BACKUP])
    check_target(parse_target("2026-11-23T12:00:00"), [BACKUP])
    assert parse_target("2026-11-23T13:00:00+01:00") == NOON
