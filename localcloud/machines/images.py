"""Snapshots and backups: a copy of the server's disk with the name of the base image it lies on."""

from __future__ import annotations

import shutil
from pathlib import Path

from localcloud.backend import BackendError
from localcloud.machines import disk, diskfile
from localcloud.machines.paths import Paths
from localcloud.machines.sh import run

COPY_LIMIT = 1800.0  # s


def folder(paths: Paths, image_id: int) -> Path:
    """Where the image is kept."""
    return paths.cloud / "images" / str(image_id)


def create(paths: Paths, image_id: int, server: Path) -> None:
    """Copy the disk of the server whose folder that is. One that runs stands still meanwhile; what it has not written
    to its disk yet is not in the image, as after a power cut. Repeating it makes the image anew.
    """
    target = folder(paths, image_id)
    remove(paths, image_id)
    target.mkdir(parents=True)
    run("sync", "-f", server / "disk", check=False)
    frozen = disk.is_mounted(server / "disk")
    try:
        if frozen:
            run("fsfreeze", "-f", server / "disk")
        run("cp", "--sparse=always", "--reflink=auto", server / "disk.img", target / "disk.img", timeout=COPY_LIMIT)
    finally:
        if frozen:
            thaw(server)
    shutil.copy(server / "base", target / "base")


def thaw(server: Path) -> None:
    """Let the server write again: nothing happens if it may."""
    run("fsfreeze", "-u", server / "disk", check=False)


def size_gb(paths: Paths, image_id: int) -> float:
    """What the image takes on the host's disk, GB."""
    file = folder(paths, image_id) / "disk.img"
    return round(file.stat().st_blocks * 512 / diskfile.GB, 2) if file.exists() else 0.0


def remove(paths: Paths, image_id: int) -> None:
    """Remove the image's files; servers made from it have copies."""
    shutil.rmtree(folder(paths, image_id), ignore_errors=True)


def install(paths: Paths, image_id: int, server: Path, disk_gb: int) -> None:
    """Give the server a disk from the image unless it has one."""
    source = folder(paths, image_id)
    if (server / "disk.img").exists():
        return
    if not (source / "disk.img").exists():
        raise BackendError(f"image {image_id} is gone")
    temp = server / "disk.img.new"
    temp.unlink(missing_ok=True)  # the copy of a daemon that was killed may still be written: to a file of its own
    run("cp", "--sparse=always", "--reflink=auto", source / "disk.img", temp, timeout=COPY_LIMIT)
    diskfile.grow(temp, disk_gb)
    shutil.copy(source / "base", server / "base")
    temp.rename(server / "disk.img")
