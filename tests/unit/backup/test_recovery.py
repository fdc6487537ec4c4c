"""What a killed restore left running is ended before the next try touches its files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sekha_backup import recovery


def test_leftovers(tmp_path: Path) -> None:
    data, other = tmp_path / "restoring", tmp_path / "main"
    data.mkdir()
    other.mkdir()
    left, kept = (subprocess.Popen(["sleep", "60"], cwd=folder) for folder in (data, other))
    try:
        assert recovery.end_leftovers(data) == 1
        assert left.wait(5) == -9
        assert kept.poll() is None
        assert recovery.end_leftovers(data) == 0
    finally:
        kept.kill()
        kept.wait()


def test_reasons_are_for_the_operator() -> None:
    log = "LOG:  last completed transaction was at log time 2026-11-23 14:26:04+00\n"
    log += "FATAL:  recovery ended before configured recovery target was reached\n"
    assert "the last transaction in the archive is of 2026-11-23 14:26:04+00" in recovery._reason(log)
    assert "before the backup was complete" in recovery._reason(
        "FATAL:  requested recovery stop point is before consistent recovery point"
    )
    assert "FATAL:  could not" in recovery._reason("LOG: a\nFATAL:  could not find WAL\n")


@pytest.mark.parametrize(("free_gb", "megabytes"), [(0, 256), (1, 256), (8, 1024), (1000, 16384)])
def test_the_log_may_not_fill_the_disk(free_gb: int, megabytes: int) -> None:
    assert recovery.wal_room(free_gb * 2**30) == megabytes
