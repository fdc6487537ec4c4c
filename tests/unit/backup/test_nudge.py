"""The checkpointer is woken once, and only when the database is ready."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sekha_backup import nudge


def postmaster(folder: Path, status: str) -> None:
    (folder / "postmaster.pid").write_text(f"10\n{folder}\n1\n5432\n/run\n\n 1 1\n{status}\n")


@pytest.mark.parametrize(("status", "found"), [("ready   ", 12), ("starting", 0)])
def test_which_process(tmp_path: Path, status: str, found: int) -> None:
    (tmp_path / "10/task/10").mkdir(parents=True)
    (tmp_path / "10/task/10/children").write_text("11 12 ")
    for number, title in (("11", "postgres: 17/main: walwriter"), ("12", "postgres: 17/main: checkpointer")):
        (tmp_path / number).mkdir()
        (tmp_path / number / "cmdline").write_text(title)
    postmaster(tmp_path, status)
    assert nudge.checkpointer(tmp_path, tmp_path) == found


def test_no_database(tmp_path: Path) -> None:
    assert nudge.checkpointer(tmp_path, tmp_path) == 0


def test_each_process_once(monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[int] = []
    monkeypatch.setattr(os, "kill", lambda number, _: woken.append(number))
    monkeypatch.setattr(nudge, "nudged", 0)
    for found in (0, 7, 7, 8):
        monkeypatch.setattr(nudge, "checkpointer", lambda found=found: found)
        nudge.nudge()
    assert woken == [7, 8]
