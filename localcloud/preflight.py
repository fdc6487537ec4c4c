"""Can a local cloud run on this host? Facts are gathered, then judged by a pure function; nothing is touched."""

from __future__ import annotations

import os
import re
import shutil
import socket
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from localcloud.machines import addresses as a
from localcloud.machines import cleanup, netns, router
from localcloud.machines.paths import Paths
from localcloud.machines.sh import ENV, run, succeeds

MIN_FREE_GB = 5.0  # image 0.4, mirror and toolchain 1, a server with PostgreSQL 1.5, and room to work
OURS = [IPv4Network(n) for n in (a.PUBLIC_NET, f"{a.GATEWAY}/32", a.UPLINK_NET)]


@dataclass(frozen=True)
class Facts:
    """What preflight looks at."""

    uid: int
    addresses: tuple[tuple[str, str], ...]  # (interface, "10.0.0.1/24") of interfaces that aren't ours
    routes: tuple[tuple[str, str], ...]  # (interface, "10.0.0.0/24")
    missing_kernel: tuple[str, ...]  # features that don't work
    forward_drops: tuple[str, ...]  # packet filters that drop forwarded packets, as "nft: ip filter FORWARD"
    port: int
    port_taken: bool
    free_gb: float
    cache: str
    default_route: bool
    nameservers: tuple[str, ...]
    other_cloud: str | None  # state folder of a living local cloud that isn't this one


def problems(facts: Facts) -> list[str]:
    """Each reason why the local cloud can't start: what, value, remedy. Empty = it can."""
    if facts.uid != 0:
        return [
            f"not root (user id {facts.uid}): namespaces, mounts and packet filters need root; run as root or by sudo"
        ]
    found = []
    if facts.other_cloud:
        return [another_runs(facts.other_cloud)]
    for kind, pairs in (("address", facts.addresses), ("route", facts.routes)):
        for interface, text in pairs:
            for ours in OURS:
                # A wider network is fine: our more specific routes go first.
                if IPv4Interface(text).ip in ours if kind == "address" else IPv4Network(text).subnet_of(ours):
                    found.append(
                        f"{kind} {text} on {interface} is in {ours}, which the local cloud needs; "
                        f"remove it: ip {'addr' if kind == 'address' else 'route'} del {text} dev {interface}"
                    )
    for feature in facts.missing_kernel:
        found.append(f"the kernel lacks {feature}: load its module or use a kernel that has it (a virtual machine, not a container)")  # fmt: skip # noqa: E501
    for chain in facts.forward_drops:
        found.append(
            f"the host's firewall drops forwarded packets ({chain}), machines would have no network; let ours pass: "
            f"{forward_remedy(chain)}"
        )
    if facts.port_taken:
        found.append(port_taken(facts.port))
    if facts.free_gb < MIN_FREE_GB:
        found.append(f"only {facts.free_gb:.1f} GB free below {facts.cache}, {MIN_FREE_GB:.0f} GB are needed; free some or set SEKHA_CACHE")  # fmt: skip # noqa: E501
    if not facts.default_route:
        found.append("the host has no IPv4 default route: machines could install nothing; add one (ip route add default via GATEWAY)")  # fmt: skip # noqa: E501
    if not facts.nameservers:
        found.append("/etc/resolv.conf names no server that isn't a loopback address; add a line `nameserver ADDRESS`")
    return found


def port_taken(port: int) -> str:
    """What to say when the API's port is another program's."""
    return f"port {port} on 127.0.0.1 is taken; stop what listens there (ss -ltnp sport = :{port}) or set LOCALCLOUD_PORT"  # fmt: skip # noqa: E501


def another_runs(cloud: str) -> str:
    """What to say when the living local cloud of another state folder is in the way."""
    return (
        f"another local cloud runs on this machine, there is room for one: its state is in {cloud}; "
        f"use that one, or stop it: SEKHA_CLOUD_DIR={cloud} bin/localcloud down"
    )


def forward_remedy(chain: str) -> str:
    """Commands that let our packets through a chain, given as "nft: FAMILY TABLE CHAIN" or "iptables: CHAIN"."""
    tool, _, name = chain.partition(": ")
    if tool == "nft" and name.split()[:2] != ["ip", "filter"]:
        return f"nft insert rule {name} iifname {a.UPLINK} accept; nft insert rule {name} oifname {a.UPLINK} accept"
    return f"iptables -I FORWARD -i {a.UPLINK} -j ACCEPT; iptables -I FORWARD -o {a.UPLINK} -j ACCEPT"


def nft_forward_drops(ruleset: str) -> list[str]:
    """Forward chains of `nft list ruleset` whose policy is drop and whose table has no rules that let ours pass."""
    found = []
    for family, table, body in re.findall(r"^table (\S+) (\S+) \{\n(.*?)^\}", ruleset, re.MULTILINE | re.DOTALL):
        passes = all(re.search(rf'{field} "?{a.UPLINK}"? .*accept', body) for field in ("iifname", "oifname"))
        if family not in ("ip", "inet") or table.startswith("slc_") or passes:
            continue
        for name, chain in re.findall(r"^\tchain (\S+) \{\n(.*?)^\t\}", body, re.MULTILINE | re.DOTALL):
            if re.search(r"hook forward .*policy drop", chain):
                found.append(f"nft: {family} {table} {name}")
    return found


def iptables_forward_drops(rules: str) -> list[str]:
    """["iptables: FORWARD"] if `iptables -S` drops by policy and has no rules that let ours pass."""
    passes = all(re.search(rf"^-A .*{flag} {a.UPLINK} .*-j ACCEPT", rules, re.MULTILINE) for flag in ("-i", "-o"))
    return ["iptables: FORWARD"] if re.search(r"^-P FORWARD DROP", rules, re.MULTILINE) and not passes else []


def _there(program: str) -> bool:
    return shutil.which(program, path=ENV["PATH"]) is not None


def _works(*command: str) -> bool:
    return succeeds(*command, timeout=20)


def missing_kernel() -> list[str]:
    """Features tried out in throw-away namespaces that don't work. Needs root."""
    overlay = "mount -t tmpfs t /mnt && mkdir /mnt/l /mnt/u /mnt/w /mnt/m && mount -t overlay o -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w /mnt/m"  # fmt: skip # noqa: E501
    probes = {
        "namespaces (mount, uts, ipc, pid, net)": ("unshare", "-muipn", "--fork", "true"),
        "veth": ("unshare", "-n", "ip", "link", "add", "p0", "type", "veth", "peer", "name", "p1"),
        "bridge": ("unshare", "-n", "ip", "link", "add", "p0", "type", "bridge"),
        "nftables": ("unshare", "-n", "nft", "add table inet probe"),
        "overlayfs": ("unshare", "-m", "sh", "-c", overlay),
    }
    programs = {"veth": "ip", "bridge": "ip", "nftables": "nft"}  # installed later where they are missing
    found = [name for name, command in probes.items() if _there(programs.get(name, "unshare")) and not _works(*command)]
    if not Path("/dev/loop-control").exists() and not _works("modprobe", "-q", "loop"):
        found.append("loop devices")
    return found


def gather(paths: Paths, port: int) -> Facts:
    """Look at the host."""
    uid = os.getuid()
    links = [link for link in netns.query("-4", "addr", "show") if not link["ifname"].startswith("slc")]
    routes = [r for r in netns.query("-4", "route", "show") if not r.get("dev", "").startswith("slc")]
    addresses = [(k["ifname"], f"{e['local']}/{e['prefixlen']}") for k in links for e in k["addr_info"] if "local" in e]
    drops: list[str] = []
    if uid == 0 and _there("nft"):
        drops += nft_forward_drops(run("nft", "list", "ruleset", check=False))
    for tool in ("iptables-legacy", "iptables"):
        if uid == 0 and not drops and _there(tool):
            drops += iptables_forward_drops(run(tool, "-S", check=False))
    other = cleanup.living_other(paths)
    folder = next(p for p in (paths.cache, *paths.cache.parents) if p.exists())
    return Facts(
        uid=uid,
        addresses=tuple(addresses),
        routes=tuple((r["dev"], r["dst"]) for r in routes if "dev" in r and r["dst"] != "default"),
        missing_kernel=tuple(missing_kernel() if uid == 0 else ()),
        forward_drops=tuple(drops),
        port=port,
        port_taken=taken(port),
        free_gb=shutil.disk_usage(folder).free / 1e9,
        cache=str(paths.cache),
        # Without `ip` nothing is known; it will be installed, and then everything is looked at again.
        default_route=not _there("ip") or any(r["dst"] == "default" for r in routes),
        nameservers=tuple(router.nameservers()),
        other_cloud=str(other) if other else None,
    )


def taken(port: int) -> bool:
    """True if another program listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
