"""Disk files: sparse, with an ext4 in them that is measured, checked and grown while nobody has it mounted.

e2fsck and resize2fs outlive a kill of the daemon that started them. So each holds a lock on its file, for which whoever
mounts or changes that file next waits; and whether all was done is asked of the superblock, not of the file's size.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from localcloud.backend import BackendError
from localcloud.machines.sh import run

GB = 2**30
LIMIT = 300.0  # s for one check or growth
MAGIC, HAS_ERRORS = 0xEF53, 2  # ext4's superblock: Documentation/filesystems/ext4/super.rst of Linux
WIDE = 0x80  # feature: block numbers of 64 bits


@dataclass(frozen=True)
class FileSystem:
    """What its superblock says: bytes, and whether it is whole (a resize2fs that was cut off leaves it marked)."""

    size: int
    whole: bool


def sparse_file(path: Path, size_gb: int) -> None:
    """Make or grow a file of that many GB that takes only what is written to it; never shrinks."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(fd).st_size < size_gb * GB:
            os.truncate(fd, size_gb * GB)
    finally:
        os.close(fd)


def file_system(image: Path) -> FileSystem:
    """The ext4 in a file. Raises BackendError when there is none."""
    with image.open("rb") as file:
        file.seek(1024)
        block = file.read(1024)
    if len(block) < 1024 or struct.unpack_from("<H", block, 0x38)[0] != MAGIC:
        raise BackendError(f"{image} has no ext4 file system")
    low, log_size, state = (struct.unpack_from(f, block, at)[0] for f, at in (("<I", 4), ("<I", 0x18), ("<H", 0x3A)))
    wide = struct.unpack_from("<I", block, 0x60)[0] & WIDE
    high = struct.unpack_from("<I", block, 0x150)[0] if wide else 0
    return FileSystem((high << 32 | low) * (1024 << log_size), not state & HAS_ERRORS)


def alone(image: Path, *command: str | Path) -> None:
    """Run a command that uses the file's contents, once no other such command does. Raises BackendError."""
    run("flock", "--timeout", f"{LIMIT:g}", image, *command, timeout=2 * LIMIT)


def check(image: Path) -> None:
    """Have the file system checked and put right. Raises BackendError when that takes a person."""
    alone(image, "sh", "-c", 'e2fsck -fp "$1" || [ $? -lt 4 ]', "sh", image)


def grow(image: Path, size_gb: int) -> None:
    """Give a file that no device has, and its ext4, at least that size. To be repeated when it was cut off."""
    sparse_file(image, size_gb)
    check(image)
    alone(image, "resize2fs", image)
