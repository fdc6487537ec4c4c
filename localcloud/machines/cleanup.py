"""What of the local cloud is there on the host: list it (leftovers) and remove it (teardown)."""

from __future__ import annotations

import json
import time
from pathlib import Path

from localcloud.limits import detect
from localcloud.machines import addresses as a
from localcloud.machines import disk, loops, netns, process, router, services
from localcloud.machines.paths import OWNER_FILE, Paths
from localcloud.machines.sh import read_json, run

LOOP_LIMIT = 10.0  # s


def leftovers(paths: Paths) -> list[str]:
    """Every process, namespace, link, table, mount, loop device and control group of ours, one line each."""
    found = [f"process {p.pid} ({file})" for file in pid_files(paths) if (p := process.load(file))]
    found += [f"namespace {ns}" for ns in netns.ours()]
    found += [f"link {link['ifname']}" for link in netns.query("link", "show") if link["ifname"].startswith("slc")]
    found += [f"route {route['dst']}" for route in netns.query("route", "show") if route["dst"] == a.PUBLIC_NET]
    if router.nat_table_there():
        found.append(f"nft table {a.NAT_TABLE}")
    found += [f"mount {point}" for point in mounts_of(paths)]
    found += [f"loop device {device} ({file})" for device, file in loops.loops_below(paths.cloud).items()]
    limits = detect()
    found += [f"control group {group}" for group in limits.groups()]
    if OWNER_FILE.exists():
        found.append(f"file {OWNER_FILE}")
    return found


def mounts_of(paths: Paths) -> list[Path]:
    """Our mounts, innermost first. The state folder itself may be a mount, too: the operator's, with all data in it."""
    return [point for point in disk.mounts_below(paths.cloud) if point != paths.cloud]


def pid_files(paths: Paths) -> list[Path]:
    """Records of all processes of ours."""
    return [*sorted(paths.run.glob("*.pid")), *sorted(paths.servers.glob("*/runner.pid"))]


def teardown(paths: Paths) -> None:
    """Remove everything of ours from the host; machines are killed (power them off first). Data stays."""
    services.down(paths)
    detect().remove_all()
    for file in pid_files(paths):
        process.stop(file, timeout=1)
    for ns in netns.ours():
        if ns != a.ROUTER_NS:
            netns.delete(ns)
    router.down(paths)
    for point in mounts_of(paths):
        run("umount", point, check=False)
    for point in mounts_of(paths):
        run("umount", "-l", point, check=False)
    for device in loops.loops_below(paths.cloud):
        run("losetup", "-d", device, check=False)
    end = time.monotonic() + LOOP_LIMIT
    while loops.loops_below(paths.cloud) and time.monotonic() < end:
        time.sleep(0.05)  # a device goes a moment after its last mount
    owner = read_json(OWNER_FILE)
    if not isinstance(owner, dict) or owner.get("cloud") == str(paths.cloud):
        OWNER_FILE.unlink(missing_ok=True)


def owner() -> dict[str, str] | None:
    """Whose local cloud is on this machine: {"cloud": folder}; None if there is none or only a dead one's record."""
    data = read_json(OWNER_FILE)
    if not isinstance(data, dict):
        return None
    return {"cloud": str(data["cloud"])}


def in_use(cloud: Path) -> bool:
    """True if the local cloud of that folder has a living process or machine."""
    other = Paths(cache=cloud, cloud=cloud)
    return any(process.load(file) for file in pid_files(other))


def living_other(paths: Paths) -> Path | None:
    """State folder of a living local cloud on this machine that isn't this one."""
    found = owner()
    other = Path(found["cloud"]) if found and found["cloud"] != str(paths.cloud) else None
    return other if other and in_use(other) else None


def claim(paths: Paths) -> None:
    """Write down that the machine's one local cloud is ours."""
    OWNER_FILE.write_text(json.dumps({"cloud": str(paths.cloud)}))
