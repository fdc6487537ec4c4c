"""Floating IPs: routes in the router namespace to the server that has them, behind that server's firewall.

As on Hetzner the machine doesn't know: whoever wants to use the address configures it in the machine.
"""

from __future__ import annotations

import json
from pathlib import Path

from localcloud.backend import ServerSpec
from localcloud.machines import addresses as a
from localcloud.machines import firewall, netns
from localcloud.machines.paths import Paths
from localcloud.machines.router import ipv6_there
from localcloud.machines.sh import read_json, run, write


def _file(paths: Paths) -> Path:
    return paths.servers.parent / "floating.json"


def known(paths: Paths) -> dict[str, int | None]:
    """All floating IPs: address -> server, None for nobody."""
    data = read_json(_file(paths))
    return {str(ip): server for ip, server in data.items()} if isinstance(data, dict) else {}


def route_command(ip: str, spec: ServerSpec | None) -> list[str]:
    """The `ip` arguments that route the address (IPv6: the /64) to the server, or to nobody."""
    family = "-6" if ":" in ip else "-4"
    if spec is None:
        return [family, "route", "replace", "unreachable", ip]
    via = spec.ipv4 if family == "-4" else spec.ipv6_net and spec.ipv6_net.replace("/64", "1")
    hop = ["via", via] if via else []
    return [family, "route", "replace", ip, *hop, "dev", a.BRIDGE]


def _apply(ip: str, spec: ServerSpec | None, before: int | None) -> None:
    if ":" in ip and not ipv6_there():
        return
    for kind in ("", "unreachable"):  # `replace` does not replace a route of the other kind
        run("ip", "-n", a.ROUTER_NS, *("-6",) * (":" in ip), "route", "del", *filter(None, [kind]), ip, check=False)
    netns.ip(a.ROUTER_NS, *route_command(ip, spec))
    if before is not None:
        firewall.remove_address(ip)
    if spec is not None:
        firewall.remove_address(ip)
        firewall.add_address(spec.id, ip)


def route(paths: Paths, ip: str, spec: ServerSpec | None) -> None:
    """Give the address to the server, or to nobody; repeating it changes nothing."""
    every = known(paths)
    _apply(ip, spec, every.get(ip))
    write(_file(paths), json.dumps({**every, ip: spec.id if spec else None}))


def forget(paths: Paths, ip: str) -> None:
    """The address may become anything else."""
    every = known(paths)
    every.pop(ip, None)
    firewall.remove_address(ip)
    run("ip", "-n", a.ROUTER_NS, *("-6",) * (":" in ip), "route", "del", "unreachable", ip, check=False)
    write(_file(paths), json.dumps(every))


def restore(paths: Paths, spec: ServerSpec) -> None:
    """Route the server's floating IPs again: after a restart of the host, or a change of its addresses."""
    for ip, server_id in known(paths).items():
        if server_id == spec.id:
            _apply(ip, spec, spec.id)
