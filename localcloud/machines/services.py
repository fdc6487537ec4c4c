"""The host processes around the machines: DHCP and DNS, metadata, package mirror, object store, lxcfs."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from localcloud import objects
from localcloud.backend import BackendError
from localcloud.machines import addresses as a
from localcloud.machines import disk, netns, process, router
from localcloud.machines.paths import Paths
from localcloud.machines.sh import run

LOG = logging.getLogger(__name__)
REPO = Path(__file__).parent.parent.parent
NAMES = ("dnsmasq", "metadata", "mirror", "objects", "lxcfs")  # run/NAME.pid


def python_module(module: str, *args: str) -> list[str]:
    """Command that runs a module of this project with our own Python."""
    return [sys.executable, "-m", module, *args]


def up(paths: Paths, versitygw: str) -> None:
    """Start those that don't run, and wait until each answers. Raises BackendError when one does not."""
    lxcfs_up(paths)
    router.dnsmasq_up(paths)
    namespace = str(netns.FOLDER / a.ROUTER_NS)
    env = {"PYTHONPATH": str(REPO), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {
        name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy") or name.startswith("SEKHA_")
    }
    commands = {
        "metadata": python_module("localcloud.metadata", str(paths.servers), a.METADATA, "80", namespace),
        "mirror": python_module("localcloud.mirror", str(paths.mirror), a.GATEWAY, "80", namespace),
    }
    for name, command in commands.items():
        if not process.load(paths.run / f"{name}.pid"):
            process.spawn(command, paths.run / f"{name}.pid", paths.run / f"{name}.log", env)
    objects.up(paths, versitygw)
    ports = {"dnsmasq": (a.GATEWAY, 53), "metadata": (a.METADATA, 80), "mirror": (a.GATEWAY, 80)}
    ports["objects"] = (a.OBJECTS_IP, a.OBJECTS_PORT)
    for name, (address, port) in ports.items():
        what = f"{name} on {address}:{port} (log: {paths.run}/{name}.log)"
        wait(functools.partial(listens, f"{address}:{port}"), 15, what)


def listens(address: str) -> bool:
    """True if something in the router namespace listens on ADDRESS:PORT."""
    text = run(*netns.inside(a.ROUTER_NS), "ss", "-Hltn", "src", address)
    return bool(text.strip())


def wait(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Return once the condition holds; BackendError naming `what` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise BackendError(f"not there within {timeout:g} s: {what}")
        time.sleep(0.03)


def lxcfs_up(paths: Paths) -> None:
    """Mount lxcfs, by which /proc in machines shows their own size. Optional: without FUSE they see the host's."""
    point = paths.run / "lxcfs"
    if process.load(paths.run / "lxcfs.pid"):
        return
    if disk.is_mounted(point):  # of a dead lxcfs
        run("umount", "-l", point)
    point.mkdir(exist_ok=True)
    program = shutil.which("lxcfs", path="/usr/bin:/usr/sbin:/bin")
    if not program or not Path("/dev/fuse").exists():
        LOG.warning("no lxcfs or no /dev/fuse: machines will see the host's memory and CPUs in /proc")
        return
    command = [program, "-f", "-p", str(paths.run / "lxcfs.own.pid"), str(point)]
    process.spawn(command, paths.run / "lxcfs.pid", paths.run / "lxcfs.log")
    try:
        wait(lambda: disk.is_mounted(point), 5, "lxcfs")
    except BackendError as error:
        LOG.warning("%s; machines will see the host's memory and CPUs in /proc", error)
        process.stop(paths.run / "lxcfs.pid")


def down(paths: Paths) -> None:
    """Stop all of them."""
    for name in NAMES:
        process.stop(paths.run / f"{name}.pid")
    if disk.is_mounted(paths.run / "lxcfs"):
        run("umount", "-l", paths.run / "lxcfs", check=False)
