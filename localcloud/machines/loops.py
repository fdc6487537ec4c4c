"""Loop devices: the block devices behind files of ours, and when a file is free of them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from localcloud.backend import BackendError
from localcloud.machines.sh import run

BUSY_LIMIT = 10.0  # s for a detached volume's device to come free
RELEASE_LIMIT = 60.0  # s for a disk's: a machine whose plug was pulled still writes back what it had in memory
LOOP_SET_STATUS64, LOOP_GET_STATUS64 = 0x4C04, 0x4C05  # linux/loop.h
SIZE_LIMIT = 32  # offset of lo_sizelimit in struct loop_info64


@dataclass(frozen=True)
class Loop:
    """A loop device: /dev/loopN with its numbers; `dying` = detached, but something still has it open."""

    device: str
    major: int
    minor: int
    dying: bool


def loops_below(folder: Path, blocks: Path = Path("/sys/block")) -> dict[str, Path]:
    """Loop devices whose file is below a folder: device -> file.

    The kernel has one list for all containers of a host, by paths that mean another file in each: the file itself
    must be the device's, or it is none of ours.
    """
    found = {}
    for entry in blocks.glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            name, deleted, _ = entry.read_text().strip().partition(" (deleted)")
            file, device = Path(name), f"/dev/{entry.parts[-3]}"
            if folder in file.parents and (deleted or backing_of(device) == (file.stat().st_dev, file.stat().st_ino)):
                found[device] = file
    return found


def backing_of(device: str) -> tuple[int, int]:
    """Device number and inode of a loop device's file (struct loop_info64 in linux/loop.h). Raises OSError."""
    info = bytearray(232)
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, LOOP_GET_STATUS64, info)
    finally:
        os.close(fd)
    found: tuple[int, int] = struct.unpack_from("=QQ", info)
    return found


def set_errors(file: Path, wanted: bool) -> None:
    """Let every access to a volume's device fail, or no more: a device of one sector has nothing beyond it.

    Nothing is lost by that but what had not been written; a file system on it has to be mounted anew afterwards.
    """
    found = loop_of(file)
    if found is None:
        return
    info = bytearray(232)
    fd = os.open(found.device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, LOOP_GET_STATUS64, info)
        limit = 512 if wanted else 0
        if struct.unpack_from("=Q", info, SIZE_LIMIT)[0] != limit:
            struct.pack_into("=Q", info, SIZE_LIMIT, limit)
            fcntl.ioctl(fd, LOOP_SET_STATUS64, bytes(info))
    finally:
        os.close(fd)


def loop_of(file: Path) -> Loop | None:
    """The loop device of a file; not one of a removed file that had its name."""
    for device, backing in loops_below(file.parent).items():
        with contextlib.suppress(OSError):  # it went, or the file is a removed one
            if backing == file and backing_of(device) == (file.stat().st_dev, file.stat().st_ino):
                number = Path(device).stat().st_rdev
                clearing = Path(f"/sys/block/{Path(device).name}/loop/autoclear").read_text().strip() == "1"
                return Loop(device, os.major(number), os.minor(number), clearing)
    return None


def ensure_loop(file: Path) -> Loop:
    """A loop device for the file; waits for one that is just going away (two on one file would destroy it)."""
    end = time.monotonic() + BUSY_LIMIT
    while (found := loop_of(file)) is not None and found.dying:
        if time.monotonic() > end:
            raise BackendError(f"volume {file.stem} is still in use by a process of the server it was detached from")
        time.sleep(0.05)
    if found is None:
        run("losetup", "--find", "--nooverlap", file)
        found = loop_of(file)
    if found is None:
        raise BackendError(f"no loop device for {file}")
    return found


def wait_released(file: Path) -> None:
    """Return once no loop device has the file: whoever writes it now, beside one, destroys it. Raises BackendError."""
    end = time.monotonic() + RELEASE_LIMIT
    while loop_of(file) is not None:
        if time.monotonic() > end:
            raise BackendError(f"{file} is still in use, by a process of its server or a copy of its mount")
        time.sleep(0.05)


def release_loop(file: Path) -> None:
    """Let the loop device go; one that is in use goes with its last user."""
    found = loop_of(file)
    if found and not found.dying:
        run("losetup", "-d", found.device, check=False)
