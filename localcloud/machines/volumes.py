"""Volumes: sparse files on loop devices, shown to a machine as /dev/disk/by-id/scsi-0HC_Volume_<id>.

There is no udev in a machine, so its device nodes are made from outside (running) or by slc-init at boot, which reads
the list in the server's guest/volumes file.
"""

from __future__ import annotations

import json

from localcloud.backend import BackendError
from localcloud.limits import Limits
from localcloud.machines import guest, loops
from localcloud.machines.diskfile import sparse_file
from localcloud.machines.paths import Paths
from localcloud.machines.sh import read_json, run, write

NAMES = [f"sd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz"]


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
    found = loops.loop_of(file)
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
        loop = loops.ensure_loop(paths.volume(volume_id))
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
        loop, name = loops.ensure_loop(paths.volume(volume_id)), of_server(paths, server_id)[volume_id]
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
        loops.release_loop(paths.volume(volume_id))
        return
    folder, loop = paths.server(server_id), loops.loop_of(paths.volume(volume_id))
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
    loop = loops.loop_of(paths.volume(volume_id))
    if loop:
        limits.allow_device(server_id, loop.major, loop.minor, False)
    (paths.volumes / f"{volume_id}.json").unlink(missing_ok=True)
    if paths.server(server_id).is_dir():
        prepare(paths, server_id, limits)
    loops.release_loop(paths.volume(volume_id))


def delete(paths: Paths, volume_id: int) -> None:
    """Remove the volume and its data."""
    if attached_to(paths, volume_id) is not None:
        raise BackendError(f"volume {volume_id} is still attached to server {attached_to(paths, volume_id)}")
    loops.release_loop(paths.volume(volume_id))
    paths.volume(volume_id).unlink(missing_ok=True)
