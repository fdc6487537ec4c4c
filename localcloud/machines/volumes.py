"""Volumes: sparse files on loop devices, shown to a machine as /dev/disk/by-id/scsi-0HC_Volume_<id>.

There is no udev in a machine, so its device nodes are made from outside (running) or by slc-init at boot, which reads
the list in the server's guest/volumes file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from localcloud.backend import BackendError
from localcloud.limits import Limits
from localcloud.machines import guest
from localcloud.machines.disk import sparse_file
from localcloud.machines.paths import Paths
from localcloud.machines.sh import read_json, run, write

BUSY_LIMIT = 10.0  # s for a detached volume's device to come free
LOOP_SET_STATUS64, LOOP_GET_STATUS64 = 0x4C04, 0x4C05  # linux/loop.h
SIZE_LIMIT = 32  # offset of lo_sizelimit in struct loop_info64
NAMES = [f"sd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz"]


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
    end = time.monotonic() + BUSY_LIMIT
    while loop_of(file) is not None:
        if time.monotonic() > end:
            raise BackendError(f"{file} is still in use by a process of its server")
        time.sleep(0.05)


def release_loop(file: Path) -> None:
    """Let the loop device go; one that is in use goes with its last user."""
    found = loop_of(file)
    if found and not found.dying:
        run("losetup", "-d", found.device, check=False)


def create(paths: Paths, volume_id: int, size_gb: int, fmt: str | None) -> None:
    """Make the volume's file and, if asked for, a file system on it."""
    file = paths.volume(volume_id)
    if file.exists():
        return
    temp = file.with_suffix(".new")
    temp.unlink(missing_ok=True)
    sparse_file(temp, size_gb)
    if fmt == "ext4":
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", temp)
    elif fmt == "xfs":
        run("mkfs.xfs", "-q", "-f", temp)
    elif fmt:
        raise BackendError(f"volume format {fmt!r} is unknown (known: ext4, xfs)")
    temp.rename(file)


def resize(paths: Paths, volume_id: int, size_gb: int) -> None:
    """Grow the volume, seen at once by a machine that has it."""
    file = paths.volume(volume_id)
    if not file.exists():
        raise BackendError(f"volume {volume_id} has no file {file}")
    sparse_file(file, size_gb)
    found = loop_of(file)
    if found:
        run("losetup", "--set-capacity", found.device)


def attached_to(paths: Paths, volume_id: int) -> int | None:
    """The server that has the volume."""
    data = read_json(paths.volumes / f"{volume_id}.json")
    return int(data["server"]) if isinstance(data, dict) else None


def of_server(paths: Paths, server_id: int) -> dict[int, str]:
    """The server's volumes: id -> device name, as "sdb"."""
    found = {}
    for file in paths.volumes.glob("*.json"):
        data = read_json(file)
        if isinstance(data, dict) and data["server"] == server_id:
            found[int(file.stem)] = str(data["name"])
    return found


def prepare(paths: Paths, server_id: int, limits: Limits) -> None:
    """Before a boot: loop devices, permissions, and the list slc-init reads."""
    lines = []
    for volume_id, name in sorted(of_server(paths, server_id).items()):
        loop = ensure_loop(paths.volume(volume_id))
        limits.allow_device(server_id, loop.major, loop.minor, True)
        lines.append(f"{name} {loop.major} {loop.minor} {volume_id}\n")
    folder = paths.server(server_id) / "guest"
    folder.mkdir(exist_ok=True)
    write(folder / "volumes", "".join(lines))


def attach(paths: Paths, volume_id: int, server_id: int, limits: Limits, *, automount: bool) -> None:
    """Give the volume to a server, running or not; with `automount` also mount it at /mnt/HC_Volume_<id>."""
    owner = attached_to(paths, volume_id)
    if owner not in (None, server_id):
        raise BackendError(f"volume {volume_id} is attached to server {owner}")
    if not paths.volume(volume_id).exists():
        raise BackendError(f"volume {volume_id} has no file {paths.volume(volume_id)}")
    if owner is None:
        taken = of_server(paths, server_id).values()
        name = next(n for n in NAMES if n not in taken)
        write(paths.volumes / f"{volume_id}.json", json.dumps({"server": server_id, "name": name}))
    try:
        _plug(paths, volume_id, server_id, limits, automount=automount)
    except (BackendError, OSError):
        _forget(paths, volume_id, server_id, limits)  # else nobody could have it any more
        raise


def _plug(paths: Paths, volume_id: int, server_id: int, limits: Limits, *, automount: bool) -> None:
    """The device node, and with `automount` the mount."""
    prepare(paths, server_id, limits)
    folder = paths.server(server_id)
    link = f"/dev/disk/by-id/scsi-0HC_Volume_{volume_id}"
    if guest.is_running(folder):
        loop, name = ensure_loop(paths.volume(volume_id)), of_server(paths, server_id)[volume_id]
        # Any old node goes: one that an earlier volume left would be that volume's device.
        script = f"mkdir -p /dev/disk/by-id && rm -f /dev/{name} && mknod -m 660 /dev/{name} b {loop.major} {loop.minor} && ln -sfn ../../{name} {link}"  # fmt: skip # noqa: E501
        guest.run_inside(folder, "sh", "-c", script)
    if automount:
        point = f"/mnt/HC_Volume_{volume_id}"
        line = f"{link} {point} auto discard,nofail,defaults 0 0\n"
        fstab = folder / "root/etc/fstab"
        text = fstab.read_text() if fstab.exists() else ""
        if line not in text:
            fstab.write_text(text + line)
        (folder / "root" / point.lstrip("/")).mkdir(parents=True, exist_ok=True)
        if guest.is_running(folder):
            guest.run_inside(folder, "sh", "-c", f"mountpoint -q {point} || mount {point}", check=False)


def detach(paths: Paths, volume_id: int, limits: Limits) -> None:
    """Take the volume away. A machine that has it mounted loses the mount; what was written before is on the volume."""
    server_id = attached_to(paths, volume_id)
    if server_id is None:
        release_loop(paths.volume(volume_id))
        return
    folder, loop = paths.server(server_id), loop_of(paths.volume(volume_id))
    name = of_server(paths, server_id)[volume_id]
    if loop and guest.is_running(folder):
        script = f"""
            sync
            for point in $(awk '$3 == "{loop.major}:{loop.minor}" {{print $5}}' /proc/self/mountinfo | sort -r); do
              umount "$point" 2>/dev/null || umount -l "$point"
            done
            rm -f /dev/{name} /dev/disk/by-id/scsi-0HC_Volume_{volume_id}"""
        try:
            guest.run_inside(folder, "sh", "-c", script, check=False)
        except BackendError:
            if guest.is_running(folder):  # one that went off meanwhile has nothing mounted
                raise
    _forget(paths, volume_id, server_id, limits)


def _forget(paths: Paths, volume_id: int, server_id: int, limits: Limits) -> None:
    """The server has no right to the volume any more, and no record of it."""
    loop = loop_of(paths.volume(volume_id))
    if loop:
        limits.allow_device(server_id, loop.major, loop.minor, False)
    (paths.volumes / f"{volume_id}.json").unlink(missing_ok=True)
    if paths.server(server_id).is_dir():
        prepare(paths, server_id, limits)
    release_loop(paths.volume(volume_id))


def delete(paths: Paths, volume_id: int) -> None:
    """Remove the volume and its data."""
    if attached_to(paths, volume_id) is not None:
        raise BackendError(f"volume {volume_id} is still attached to server {attached_to(paths, volume_id)}")
    release_loop(paths.volume(volume_id))
    paths.volume(volume_id).unlink(missing_ok=True)
