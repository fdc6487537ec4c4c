"""Root disks: a writable layer on a sparse file of the server type's size, over the shared base image."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from localcloud.backend import BackendError
from localcloud.machines import diskfile, loops
from localcloud.machines.sh import run


def mounts_below(folder: Path, table: Path = Path("/proc/self/mounts")) -> list[Path]:
    """Mount points in or below a folder, innermost first."""
    found = []
    for line in table.read_text().splitlines():
        # The kernel writes blanks and backslashes as octal numbers, and nothing else.
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split(" ")[1]))
        if point == folder or folder in point.parents:
            found.append(point)
    return sorted(found, key=lambda p: len(p.parts), reverse=True)


def is_mounted(path: Path) -> bool:
    return path in mounts_below(path)


def share(folder: Path) -> None:
    """Have what is unmounted below the folder unmounted in every copy of it, too.

    systemd-nspawn keeps a copy of all mounts of the host for as long as its machine runs. Unless they are shared, as
    systemd makes them on its hosts, a disk stays in use there after its own server went off: whoever grows it then
    destroys it.
    """
    if "shared" in run("findmnt", "-no", "PROPAGATION", "--target", folder):
        return
    if not is_mounted(folder):
        if mounts_below(folder):
            return  # machines that run since before: from the next `down` and `up` on
        run("mount", "--bind", folder, folder)
    run("mount", "--make-shared", folder)


def make_root(folder: Path, base: Path, size_gb: int) -> None:
    """Make the server's disk and mount its root file system at folder/root; what exists stays as it is."""
    image = folder / "disk.img"
    fresh = not image.exists()
    if not (folder / "base").exists():
        (folder / "base").write_text(f"{base}\n")
    if fresh:
        temp = folder / "disk.img.new"
        temp.unlink(missing_ok=True)
        diskfile.sparse_file(temp, size_gb)
        run("mkfs.ext4", "-q", "-F", "-m", "1", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", temp)
        temp.rename(image)
    for name in ("disk", "root"):
        (folder / name).mkdir(exist_ok=True)
    if not is_mounted(folder / "disk"):
        if not diskfile.file_system(image).whole:
            loops.wait_released(image)
            diskfile.check(image)
        diskfile.alone(image, "mount", "-o", "loop,noatime", image, folder / "disk")
    for name in ("upper", "work"):
        (folder / "disk" / name).mkdir(exist_ok=True)
    lower = (folder / "base").read_text().strip()
    if not Path(lower).is_dir():
        raise BackendError(f"the base image {lower} of this server is gone; rebuild or delete the server")
    if not is_mounted(folder / "root"):
        _overlay(Path(lower), folder / "disk", folder / "root")


def make_rescue(folder: Path, base: Path) -> None:
    """Mount a fresh system of the base image at folder/root, the server's own at its /mnt."""
    make_root(folder, base, 0)
    run("umount", folder / "root")
    shutil.rmtree(folder / "disk/rescue", ignore_errors=True)
    for name in ("upper", "work"):
        (folder / "disk/rescue" / name).mkdir(parents=True)
    _overlay(base, folder / "disk/rescue", folder / "root")
    _overlay(Path((folder / "base").read_text().strip()), folder / "disk", folder / "root/mnt")


def _overlay(lower: Path, layer: Path, point: Path) -> None:
    options = f"lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work"
    run("mount", "-t", "overlay", "overlay", "-o", options, point)


def grow_root(folder: Path, size_gb: int) -> None:
    """Give a server that is off a larger disk (its file system grows too), and unmount it for that if need be."""
    image = folder / "disk.img"
    if not image.exists() or diskfile.file_system(image).size >= size_gb * diskfile.GB:
        return
    unmount(folder)
    loops.wait_released(image)
    diskfile.grow(image, size_gb)


def unmount(folder: Path) -> None:
    """Unmount the server's file systems; the loop device goes with its mount."""
    for point in mounts_below(folder):
        run("umount", point, check=False)
    for point in mounts_below(folder):
        run("umount", "-l", point)


def wipe(folder: Path) -> None:
    """Unmount and remove the root disk."""
    unmount(folder)
    for name in ("disk.img", "disk.img.new", "base"):
        (folder / name).unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Unmount and remove everything of the server."""
    unmount(folder)
    if mounts_below(folder):
        raise BackendError(f"{folder} is still mounted; its files are left alone")
    shutil.rmtree(folder, ignore_errors=True)
