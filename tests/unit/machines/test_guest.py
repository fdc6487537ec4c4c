"""Small parts of machines/guest.py."""

from __future__ import annotations

from pathlib import Path

from localcloud.machines import guest


def test_a_machine_that_is_gone_is_off(tmp_path: Path) -> None:
    """A deletion that was interrupted after its work is carried out again."""
    guest.pull_plug(tmp_path / "7")
    assert not (tmp_path / "7").exists()
