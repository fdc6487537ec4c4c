"""One running machine: start it, find its first process, run commands inside, power it off."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

from localcloud.backend import BackendError
from localcloud.machines import addresses as a
from localcloud.machines import process
from localcloud.machines.process import Process
from localcloud.machines.sh import read_json, run, write

BOOT_LIMIT = 120.0  # s until PID 1 of a machine must be there; a busy host takes its time, a failure shows at once


def nspawn_command(folder: Path, server_id: int, hostname: str, lxcfs: Path | None) -> list[str]:
    """The systemd-nspawn command line (docs/localcloud.md says why each option is there)."""
    command = [
        "systemd-nspawn", "--quiet", f"--directory={folder}/root", f"--machine=slc-{server_id}",
        f"--hostname={hostname}", "--register=no", "--keep-unit", "--kill-signal=SIGRTMIN+3",
        f"--network-namespace-path=/run/netns/{a.server_ns(server_id)}", f"--capability={capabilities()}",
        "--system-call-filter=@keyring",
        "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only",
        f"--bind-ro={folder}/guest:/run/slc",
    ]  # fmt: skip
    if lxcfs:
        command.append(f"--bind-ro={lxcfs}:/run/slc-proc")
    return [*command, "/usr/sbin/slc-init"]


def capabilities(status: str | None = None) -> str:
    """Capabilities beyond systemd-nspawn's own set that root has on a server, as far as this host's root has them.

    NET_ADMIN for the interfaces; SYS_RESOURCE for negative OOMScoreAdjust=, higher limits and online resizing.
    """
    text = status if status is not None else Path("/proc/self/status").read_text()
    bounding = next(int(line.split()[1], 16) for line in text.splitlines() if line.startswith("CapBnd:"))
    return ",".join(["CAP_NET_ADMIN", *(["CAP_SYS_RESOURCE"] if bounding >> 24 & 1 else [])])


def start(folder: Path, command: list[str], groups: list[Path], off: list[str]) -> None:
    """Start the machine's runner unless it runs; returns when the machine's systemd runs. `off` is run when it is off.

    Raises BackendError with the end of the console when it does not come up.
    """
    if process.load(folder / "runner.pid"):
        return
    (folder / "halt").unlink(missing_ok=True)
    (folder / "state.json").unlink(missing_ok=True)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
    config = {"command": command, "env": env, "groups": [str(group) for group in groups], "off": off}
    write(folder / "runner.json", json.dumps(config))
    runner = [sys.executable, "-I", "-S", str(Path(__file__).with_name("runner.py")), str(folder)]
    running = process.spawn(runner, folder / "runner.pid", folder / "console.log")
    end = time.monotonic() + BOOT_LIMIT
    while not leader(folder):
        if not running.alive() or time.monotonic() > end:
            tail = "\n".join(console(folder).splitlines()[-10:])
            raise BackendError(f"the machine did not start; end of its console ({folder}/console.log):\n{tail}")
        time.sleep(0.01)


def console(folder: Path) -> str:
    """What the machine wrote to its console."""
    try:
        return (folder / "console.log").read_text(errors="replace")
    except OSError:
        return ""


def is_running(folder: Path) -> bool:
    """True while the machine's runner lives."""
    return process.load(folder / "runner.pid") is not None


def nspawn(folder: Path) -> Process | None:
    """The systemd-nspawn process of the machine."""
    state = read_json(folder / "state.json")
    if not isinstance(state, dict) or not state.get("nspawn"):
        return None
    found = Process(**{"boot": process.boot_id(), **state["nspawn"]})  # runners of older code recorded no boot
    return found if found.alive() else None


def leader(folder: Path) -> Process | None:
    """The machine's PID 1 as the host sees it, once it is systemd."""
    parent = nspawn(folder)
    for child in parent.children() if parent else []:
        try:
            if Path(f"/proc/{child.pid}/comm").read_text().strip() == "systemd":
                return child
        except OSError:
            continue
    return None


def enter(folder: Path, *namespaces: str) -> list[str]:
    """Command prefix that runs a command inside (all namespaces, or those given, as "--mount")."""
    end = time.monotonic() + BOOT_LIMIT
    while not (first := leader(folder)):  # a machine that is just rebooting is back in a moment
        if not is_running(folder) or time.monotonic() > end:
            raise BackendError("the machine is not running")
        time.sleep(0.02)
    return ["nsenter", f"--target={first.pid}", *(namespaces or ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"))]  # fmt: skip # noqa: E501


def run_inside(folder: Path, *command: str, check: bool = True, timeout: float = 60, stdin: str | None = None) -> str:
    """Run a command inside the machine as root; its stdout."""
    return run(*enter(folder), "--", *command, check=check, timeout=timeout, stdin=stdin)


def signal_off(folder: Path) -> None:
    """Ask the machine to power off (as the ACPI button does)."""
    found = nspawn(folder)
    if found:
        found.kill(signal.SIGTERM)


def host_shutdown(folder: Path) -> None:
    """Ask for a power-off on the host's behalf: the machine is started again by the next `up`."""
    found = process.load(folder / "runner.pid")
    if found:
        found.kill(signal.SIGTERM)


def wait_off(folder: Path, timeout: float) -> bool:
    """True once the machine is off, False if it isn't after `timeout` seconds."""
    found = process.load(folder / "runner.pid")
    return found is None or found.wait_gone(timeout)


def pull_plug(folder: Path) -> None:
    """Kill the machine at once; returns when it is off, also if there is none."""
    if not folder.is_dir():
        return
    (folder / "halt").touch()
    end = time.monotonic() + 5
    while True:  # again and again: a machine that is just rebooting is a new process in a moment
        for found in (leader(folder), nspawn(folder)):
            if found:
                found.kill(signal.SIGKILL)
        if wait_off(folder, 0.1) or time.monotonic() > end:
            break
    if is_running(folder):
        last = process.load(folder / "runner.pid")
        if last:
            last.kill(signal.SIGKILL)
            last.wait_gone(2)
    (folder / "halt").unlink(missing_ok=True)
