"""CPU, memory and device limits of servers by control groups: version 1 or 2, whichever this host has mounted.

A server's group is /slc/<server id>. A limit that can't be set is reported by a warning (the caller shows it) and
otherwise ignored: the machine then runs without it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Protocol

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000  # the kernel's default period of CPU quotas
GROUP = "slc"
# Char devices every machine may make and use, as systemd's DevicePolicy=closed: null zero full random urandom tty
# console ptmx pts, and tun and fuse, which a real server has too.
DEVICES = ("c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9", "c 5:0", "c 5:1", "c 5:2", "c 136:*", "c 10:200", "c 10:229")
NODES = ("c *:*", "b *:*")  # nodes of any other device may be made, not used: Docker asks for that for each container


class Limits(Protocol):
    """What a control group back end does. Methods that set return warnings, one line each."""

    def create(self, server_id: int, cores: int, memory_gb: float) -> list[str]:
        """Make the server's group (or change its limits)."""

    def join_files(self, server_id: int) -> list[Path]:
        """The cgroup.procs files a process writes its pid to in order to enter the group."""

    def allow_device(self, server_id: int, major: int, minor: int, allow: bool) -> None:
        """Let the server use a block device, or no longer."""

    def pids(self, server_id: int) -> set[int]:
        """Processes in the group and below."""

    def remove(self, server_id: int) -> None:
        """Remove the group and all below; processes still in it are killed."""

    def groups(self) -> list[Path]:
        """Every folder of ours that exists: the parents and the servers' groups."""

    def remove_all(self) -> None:
        """Remove all our groups."""


def detect(root: Path = ROOT) -> Limits:
    """The back end that fits what is mounted at `root`."""
    return CgroupV2(root) if (root / "cgroup.controllers").exists() else CgroupV1(root)


class _Cgroups:
    """What both versions share: `tops` are the folders (one per hierarchy) that hold our group."""

    tops: list[Path]

    def _group(self, top: Path, server_id: int) -> Path:
        return top / GROUP / str(server_id)

    def join_files(self, server_id: int) -> list[Path]:
        return [self._group(top, server_id) / "cgroup.procs" for top in self.tops]

    def pids(self, server_id: int) -> set[int]:
        found: set[int] = set()
        for top in self.tops:
            for procs in self._group(top, server_id).rglob("cgroup.procs"):
                with contextlib.suppress(OSError):
                    found |= {int(line) for line in procs.read_text().split()}
        return found - {0}  # 0: a process of a namespace we can't see into; to kill(2) it would mean ourselves

    def groups(self) -> list[Path]:
        found = []
        for top in self.tops:
            parent = top / GROUP
            if parent.is_dir():
                found += [parent, *(p for p in parent.iterdir() if p.is_dir())]
        return found

    def remove(self, server_id: int) -> None:
        for _ in range(100):
            pids = self.pids(server_id)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not pids:
                break
            time.sleep(0.02)
        for top in self.tops:
            _remove_tree(self._group(top, server_id))

    def remove_all(self) -> None:
        for top in self.tops:
            parent = top / GROUP
            if parent.is_dir():
                for group in [p for p in parent.iterdir() if p.is_dir() and p.name.isdigit()]:
                    self.remove(int(group.name))
                _remove_tree(parent)


class CgroupV1(_Cgroups):
    """One hierarchy per controller, as mounted under `root`, and the name=systemd one."""

    def __init__(self, root: Path) -> None:
        names = ("memory", "cpu", "cpuacct", "cpuset", "pids", "blkio", "devices", "freezer", "systemd", "unified")
        self.root = root
        self.tops = sorted({(root / name).resolve() for name in names if (root / name / "cgroup.procs").exists()})

    def create(self, server_id: int, cores: int, memory_gb: float) -> list[str]:
        warnings = []
        for top in self.tops:
            self._group(top, server_id).mkdir(parents=True, exist_ok=True)
        for parent in (Path(GROUP), Path(GROUP, str(server_id))):  # nothing can run in a new cpuset before it has these
            for file in ("cpuset.cpus", "cpuset.mems"):
                given = self.root / "cpuset" / parent.parent / file
                if given.exists() and not _words(self.root / "cpuset" / parent / file):
                    warnings += _set(self.root / "cpuset" / parent / file, given.read_text().strip())
        settings = [
            ("memory", "memory.limit_in_bytes", str(int(memory_gb * 2**30))),
            ("cpu", "cpu.cfs_period_us", str(PERIOD_US)),
            ("cpu", "cpu.cfs_quota_us", str(cores * PERIOD_US)),
        ]
        for controller, file, value in settings:
            warnings += _set(self.root / controller / GROUP / str(server_id) / file, value)
        devices = self.root / "devices" / GROUP / str(server_id)
        if devices.is_dir() and not self.pids(server_id):
            warnings += _set(devices / "devices.deny", "a")
            for device in DEVICES:
                warnings += _set(devices / "devices.allow", f"{device} rwm")
            for node in NODES:
                warnings += _set(devices / "devices.allow", f"{node} m")
        return warnings

    def allow_device(self, server_id: int, major: int, minor: int, allow: bool) -> None:
        devices = self.root / "devices" / GROUP / str(server_id)
        if not devices.is_dir():
            return
        _set(devices / ("devices.allow" if allow else "devices.deny"), f"b {major}:{minor} rwm")
        if not allow:
            return  # what is denied goes down by itself; what is allowed does not
        for file in sorted(devices.rglob("*/devices.list")):  # parents first
            # A running unit's group is a copy of ours; one without our rule for nodes has a policy of its own.
            with contextlib.suppress(OSError):  # gone meanwhile
                if f"{NODES[1]} m" in file.read_text().splitlines():
                    _set(file.with_name("devices.allow"), f"b {major}:{minor} rwm")


class CgroupV2(_Cgroups):
    """The unified hierarchy. Devices aren't policed (that takes BPF programs here)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tops = [root]

    def create(self, server_id: int, cores: int, memory_gb: float) -> list[str]:
        group = self._group(self.root, server_id)
        group.mkdir(parents=True, exist_ok=True)
        warnings = []
        for parent in (self.root, self.root / GROUP):
            for controller in ("cpu", "memory", "pids"):
                if controller not in _words(parent / "cgroup.subtree_control"):
                    warnings += _set(parent / "cgroup.subtree_control", f"+{controller}")
        warnings += _set(group / "memory.max", str(int(memory_gb * 2**30)))
        warnings += _set(group / "cpu.max", f"{cores * PERIOD_US} {PERIOD_US}")
        return warnings

    def allow_device(self, server_id: int, major: int, minor: int, allow: bool) -> None:
        return


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _set(path: Path, value: str) -> list[str]:
    """Write a setting; a warning when that isn't possible. Never creates a file: a missing one means no controller."""
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError as error:
        return [f"limit not set: {path}: {error.strerror}"]
    try:
        os.write(fd, value.encode())
    except OSError as error:
        return [f"limit not set: {value!r} to {path}: {error.strerror}"]
    finally:
        os.close(fd)
    return []


def _remove_tree(group: Path) -> None:
    """Groups go by rmdir, deepest first; a group whose last process is just dying is tried again for 1 s."""
    if not group.is_dir():
        return
    folders = [group, *(p for p in group.rglob("*") if p.is_dir())]
    for folder in sorted(folders, key=lambda p: len(p.parts), reverse=True):
        for _ in range(50):
            try:
                folder.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.02)
            else:
                break
