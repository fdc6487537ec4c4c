"""What counts as a problem with the backups, and how the metrics say it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from sekha_backup.archive import Lag, lag, waiting
from sekha_backup.check import GAUGES, Facts, limit, metrics, problems

NOW, HOUR, DAY = 1_800_000_000.0, 3600.0, 86400.0
WELL = Facts(
    now=NOW, backups=(NOW - 5 * DAY, NOW - 3 * HOUR), unreadable="", lag=Lag(0.0, 0), verified=NOW - 2 * DAY,
    verdict="", failed=(), database_age=40 * DAY,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backups": (NOW - 27 * HOUR,)}, "newest backup is 27 h old"),
        ({"backups": ()}, "no backup at all"),
        ({"backups": (), "first_running": True, "failed": ("x",)}, "last run of x failed"),
        ({"unreadable": "wrong key"}, "not known: wrong key"),
        ({"lag": Lag(300.0, 7)}, "300 s behind, 7 WAL segments"),
        ({"lag": Lag(0.0, 0, "nothing is archived")}, "nothing is archived"),
        ({"verdict": "restore: damaged", "failed": ("sekha-verify",)}, "last verification failed: restore: damaged"),
        ({"verified": NOW - 9 * DAY}, "no verification for 9 days"),
        ({"verified": 0.0, "backups": (NOW - 9 * DAY, NOW)}, "no verification for 9 days"),
        ({"failed": ("sekha-first-backup",)}, "last run of sekha-first-backup failed"),
    ],
)
def test_each_failure_is_said(change: dict[str, object], words: str) -> None:
    (found,) = problems(replace(WELL, **change))  # type: ignore[arg-type]
    assert words in found


@pytest.mark.parametrize(
    "change",
    [{}, {"backups": (), "database_age": 60.0}, {"verified": 0.0}, {"lag": Lag(5.0, 2)}],
    ids=["well", "new database", "not verified yet", "archive at work"],
)
def test_what_is_no_failure(change: dict[str, object]) -> None:
    assert problems(replace(WELL, **change)) == []  # type: ignore[arg-type]


def test_metrics() -> None:
    lines = metrics(WELL, "prod").splitlines()
    assert 'sekha_backup_last_success_timestamp_seconds{stack="prod"} 1799989200' in lines
    assert 'sekha_backup_problems{stack="prod"} 0' in lines
    assert len(lines) == 3 * len(GAUGES)
    away = metrics(replace(WELL, backups=(), unreadable="away"), "prod")
    assert "sekha_backup_last_success" not in away
    assert 'sekha_backup_repository_readable{stack="prod"} 0' in away
    assert 'sekha_backup_last_verification_success{stack="prod"} 0' in metrics(replace(WELL, verdict="bad"), "prod")


@pytest.mark.parametrize(
    ("given", "seconds", "problem"),
    [
        ({"ready": [], "archived": NOW - 50, "newest": NOW - 60}, 0.0, ""),
        ({"ready": [NOW - 8, NOW - 90], "archived": NOW - 100, "newest": NOW - 120}, 90.0, ""),
        ({"ready": [], "archived": NOW - 50, "newest": NOW - 40}, 40.0, ""),
        ({"ready": [], "archived": 0.0, "newest": NOW - 40, "mode": "off"}, 40.0, "archive_mode is off"),
        (
            {"ready": [], "archived": NOW, "newest": NOW - 40, "command": "/bin/true"},
            0.0,
            "archive_command '/bin/true'",
        ),
        ({"ready": [NOW - 9], "archived": NOW - 10, "newest": NOW - 10, "failing": "0001"}, 9.0, "fails at WAL 0001"),
    ],
)
def test_lag(given: dict[str, object], seconds: float, problem: str) -> None:
    found = lag(now=NOW, **given)  # type: ignore[arg-type]
    assert found.seconds == seconds
    assert problem in found.problem
    assert bool(problem) == bool(found.problem)


def test_a_repository_that_does_not_answer_is_given_up() -> None:
    with pytest.raises(TimeoutError, match="no answer within 0 s"), limit(0.05):
        subprocess.run(["sleep", "20"], check=False)


def test_what_waits_is_what_postgresql_says(tmp_path: Path) -> None:
    status = tmp_path / "pg_wal/archive_status"
    status.mkdir(parents=True)
    for name, when in (("A.ready", 100), ("B.done", 200), ("C.ready", 300)):
        (status / name).touch()
        os.utime(status / name, (when, when))
    assert sorted(waiting(tmp_path)) == [100, 300]
