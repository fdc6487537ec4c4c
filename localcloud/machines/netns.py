"""Small steps with network namespaces, links and routes; each can be repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from localcloud.machines.sh import run, succeeds

FOLDER = Path("/run/netns")


def exists(ns: str) -> bool:
    return (FOLDER / ns).exists()


def add(ns: str) -> None:
    if not exists(ns):
        run("ip", "netns", "add", ns)
        run("ip", "-n", ns, "link", "set", "lo", "up")


def delete(ns: str) -> None:
    """Remove the namespace with the links in it."""
    if exists(ns):
        run("ip", "netns", "del", ns)


def ours() -> list[str]:
    """All namespaces of the local cloud."""
    if not FOLDER.is_dir():
        return []
    return sorted(p.name for p in FOLDER.iterdir() if p.name == "slc" or p.name.startswith("slc-"))


def ip(ns: str | None, *args: str) -> None:
    """`ip ARGS` in a namespace (None: the host's)."""
    run("ip", *(("-n", ns) if ns else ()), *args)


def batch(ns: str | None, lines: list[str]) -> None:
    """Several `ip` commands in one process; stops at the first that fails."""
    run("ip", *(("-n", ns) if ns else ()), "-batch", "-", stdin="\n".join(lines) + "\n")


def link_exists(ns: str | None, link: str) -> bool:
    return succeeds("ip", *(("-n", ns) if ns else ()), "link", "show", "dev", link)


def inside(ns: str) -> tuple[str, ...]:
    """Command prefix that runs what follows in the namespace.

    nsenter, not `ip netns exec`: that makes a mount namespace which would keep our mounts busy.
    """
    return ("nsenter", f"--net={FOLDER / ns}")


def sysctl(ns: str, values: dict[str, str]) -> None:
    """Set kernel settings of a namespace; keys with slashes, as "net/ipv4/ip_forward"."""
    run(*inside(ns), "sysctl", "-qw", *(f"{key}={value}" for key, value in values.items()))


def query(*args: str) -> list[dict[str, Any]]:
    """`ip -json ARGS` as parsed JSON."""
    text = run("ip", "-json", *args, check=False).strip()
    return list(json.loads(text)) if text else []
