"""Loop devices belong to the host: only one that is open on the very file counts as ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.machines import loops

pytestmark = pytest.mark.cloud


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "1.img"
    path.write_bytes(bytes(1 << 20))
    yield path
    for candidate in tmp_path.glob("*.img"):
        loops.release_loop(candidate)


def test_a_file_keeps_its_one_device(file: Path) -> None:
    first = loops.ensure_loop(file)
    assert loops.ensure_loop(file) == first
    assert loops.loops_below(file.parent) == {first.device: file}


def test_another_file_at_the_same_path_does_not_get_the_device(file: Path) -> None:
    """What a second container on the host looks like: same path, other file."""
    first = loops.ensure_loop(file)
    moved = file.rename(file.with_name("2.img"))
    file.write_bytes(bytes(1 << 20))
    assert loops.loop_of(file) is None
    assert loops.loop_of(moved) == first
