"""Counters of what a machine or load balancer used, read from the kernel's files and HAProxy; no program is started.

Each counter only grows, and its growth per second is the metric of that name (cpu: percent of one core).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from localcloud.limits import GROUP, ROOT
from localcloud.machines import guest

SECTOR = 512  # bytes: the unit of the block layer's statistics, whatever the device's own
NS = 1_000_000_000


def server(folder: Path, server_id: int) -> dict[str, float]:
    """The counters of the machine in `folder`; empty while it is off."""
    first = guest.leader(folder)
    if first is None:
        return {}
    found = {"cpu": 100 * _cpu_seconds(server_id)}
    with contextlib.suppress(OSError):
        found |= network(Path(f"/proc/{first.pid}/net/dev").read_text())
    with contextlib.suppress(OSError):
        device = (folder / "disk").stat().st_dev
        found |= disk(Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text())
    return found


def _cpu_seconds(server_id: int, root: Path = ROOT) -> float:
    """CPU time of the machine's control group, version 1 or 2; 0 if there is none."""
    with contextlib.suppress(OSError):
        return int((root / "cpuacct" / GROUP / str(server_id) / "cpuacct.usage").read_text()) / NS
    with contextlib.suppress(OSError):
        words = (root / GROUP / str(server_id) / "cpu.stat").read_text().split()
        return int(words[words.index("usage_usec") + 1]) / 1_000_000
    return 0.0


def network(text: str) -> dict[str, float]:
    """The public interface's counters, from /proc/PID/net/dev."""
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == "eth0":
            words = [int(word) for word in rest.split()]
            return {
                "network.0.bandwidth.in": words[0],
                "network.0.pps.in": words[1],
                "network.0.bandwidth.out": words[8],
                "network.0.pps.out": words[9],
            }
    return {}


def disk(text: str) -> dict[str, float]:
    """The root disk's counters, from /sys/dev/block/M:N/stat."""
    words = [int(word) for word in text.split()]
    return {
        "disk.0.iops.read": words[0],
        "disk.0.bandwidth.read": words[2] * SECTOR,
        "disk.0.iops.write": words[4],
        "disk.0.bandwidth.write": words[6] * SECTOR,
    }
