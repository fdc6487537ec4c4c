"""Disk files whose growth was cut off, or is still under way in a process of a daemon that was killed."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from localcloud.backend import BackendError
from localcloud.machines import disk, diskfile
from localcloud.machines.diskfile import GB, FileSystem
from localcloud.machines.sh import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A server that is off, with a disk of 1 GB."""
    diskfile.sparse_file(tmp_path / "disk.img", 1)
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", tmp_path / "disk.img")
    return tmp_path


def test_a_disk_grows_with_its_file_system(folder: Path) -> None:
    disk.grow_root(folder, 2)
    assert diskfile.file_system(folder / "disk.img") == FileSystem(2 * GB, whole=True)
    disk.grow_root(folder, 1)
    assert diskfile.file_system(folder / "disk.img") == FileSystem(2 * GB, whole=True), "it never shrinks"


def test_a_growth_that_was_cut_off_after_the_file_is_taken_up_again(folder: Path) -> None:
    diskfile.sparse_file(folder / "disk.img", 2)
    disk.grow_root(folder, 2)
    assert diskfile.file_system(folder / "disk.img").size == 2 * GB


def test_what_a_cut_off_resize_left_is_put_right(folder: Path) -> None:
    run("debugfs", "-w", "-R", "set_super_value state 3", folder / "disk.img")  # as resize2fs marks it at its start
    assert not diskfile.file_system(folder / "disk.img").whole
    diskfile.check(folder / "disk.img")
    assert diskfile.file_system(folder / "disk.img").whole


def test_what_is_no_file_system_is_refused(tmp_path: Path) -> None:
    diskfile.sparse_file(tmp_path / "disk.img", 1)
    with pytest.raises(BackendError, match="no ext4"):
        diskfile.file_system(tmp_path / "disk.img")
    with pytest.raises(BackendError, match="e2fsck"):
        diskfile.check(tmp_path / "disk.img")


def test_a_file_is_changed_by_one_process_at_a_time(folder: Path) -> None:
    held, done = os.open(folder / "disk.img", os.O_RDONLY), threading.Event()

    def grow() -> None:
        disk.grow_root(folder, 2)
        done.set()

    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # as the resize2fs of a killed daemon has it
        thread = threading.Thread(target=grow)
        thread.start()
        assert not done.wait(0.5)
        assert diskfile.file_system(folder / "disk.img").size == GB
    finally:
        os.close(held)
    thread.join(60)
    assert diskfile.file_system(folder / "disk.img").size == 2 * GB
