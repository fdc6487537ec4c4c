"""The host's limits are raised where they are too low, and left alone where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.machines import kernel_limits


def test_raised_never_lowered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "fs/inotify"
    folder.mkdir(parents=True)
    (folder / "max_user_instances").write_text("128\n")
    (folder / "max_user_watches").write_text("9999999\n")
    kernel_limits.ensure(tmp_path)
    assert (folder / "max_user_instances").read_text() == "8192"
    assert (folder / "max_user_watches").read_text() == "9999999\n"
    assert caplog.text == ""


def test_where_it_is_not_allowed_it_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kernel_limits.ensure(tmp_path)
    assert "fs/inotify/max_user_instances can't be raised to 8192" in caplog.text
