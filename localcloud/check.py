"""`localcloud check`: do the state file and what is on the host agree? Reads only; for a cloud at rest.

What an action under way is about to change is left out: everything such a job names is skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localcloud.store import Data, Store


@dataclass(frozen=True)
class Host:
    """What is there, by id. Addresses and routes as the machine side recorded or the kernel shows them."""

    servers: dict[int, Data]  # spec.json of every server folder
    running: set[int]
    wanted: set[int]  # servers that should run
    disks: set[int]  # servers with a disk file
    namespaces: set[str]
    networks: dict[int, str]  # id -> range
    routes: dict[int, list[tuple[str, str]]]  # network -> (destination, gateway) of each route
    volumes: dict[int, int]  # id -> GB
    attached: dict[int, int]  # volume -> server
    images: set[int]
    balancers: set[int]
    floating: dict[str, int | None] = field(default_factory=dict)
    up: bool = True  # the machines' network is there


@dataclass
class _Report:
    problems: list[str] = field(default_factory=list)
    checked: int = 0

    def same(self, what: str, api: Any, host: Any) -> None:
        self.checked += 1
        if api != host:
            self.problems.append(f"{what}: the API says {api!r}, the host has {host!r}")


def compare(store: Store, host: Host) -> tuple[int, list[str]]:
    """(number of things compared, what does not agree)."""
    busy = {tuple(key) for _, _, _, job in store.running_jobs() for key in job["keys"]}
    report = _Report()

    def idle(kind: str) -> dict[int, Data]:
        return {row["id"]: row for row in store.all(None, kind) if (kind, row["id"]) not in busy}

    def there(kind: str, found: set[int]) -> set[int]:
        return {number for number in found if (kind, number) not in busy}

    servers = idle("server")
    every = {row["id"] for row in store.all(None, "server")}
    report.same("servers", sorted(servers), sorted(there("server", set(host.servers)) - (every - set(servers))))
    for number, server in servers.items():
        if number in host.servers:
            _server(report, store, server, host)
    report.same("networks", sorted(idle("network")), sorted(there("network", set(host.networks))))
    for number, network in idle("network").items():
        if number in host.networks:
            report.same(f"network {number}: range", network["ip_range"], host.networks[number])
            routes = sorted((row["destination"], row["gateway"]) for row in network["routes"])
            report.same(f"network {number}: routes", routes, host.routes.get(number))
    volumes = idle("volume")
    report.same("volumes", sorted(volumes), sorted(there("volume", set(host.volumes))))
    for number, volume in volumes.items():
        report.same(f"volume {number}: server", volume["server"], host.attached.get(number))
        report.same(f"volume {number}: size", volume["size"], host.volumes.get(number))
    report.same("images", sorted(idle("image")), sorted(there("image", host.images)))
    report.same("load balancers", sorted(idle("load_balancer")), sorted(there("load_balancer", host.balancers)))
    routed = {row["ip"]: row["server"] for row in idle("floating_ip").values() if row["server"] is not None}
    report.same("floating IPs", routed, {ip: server for ip, server in host.floating.items() if server is not None})
    if host.up:
        names = {f"slc-{n}" for n in (*servers, *idle("load_balancer"))} | {f"slc-n{n}" for n in idle("network")}
        busy_names = {f"slc-n{n}" if kind == "network" else f"slc-{n}" for kind, n in busy}
        # One that is off has its namespace from when it was on, and none after a restart of the host.
        off = {f"slc-{n}" for n in servers if n not in host.wanted}
        report.same("namespaces", sorted(names - off), sorted(host.namespaces - {"slc"} - busy_names - off))
    return report.checked, report.problems


def _server(report: _Report, store: Store, server: Data, host: Host) -> None:
    number, spec = server["id"], host.servers[server["id"]]
    what = f"server {number} ({server['name']})"
    ips = {row["type"]: row["ip"] for row in store.all(None, "primary_ip") if row["assignee_id"] == number}
    report.same(f"{what}: IPv4", ips.get("ipv4"), spec["ipv4"])
    report.same(f"{what}: IPv6", ips.get("ipv6"), spec["ipv6_net"])
    nics = sorted((nic["network"], nic["ip"], nic["mac_address"]) for nic in server["private_net"])
    found = sorted((nic["network_id"], nic["ip"], nic["mac"]) for nic in spec["nics"])
    report.same(f"{what}: private networks", nics, found)
    report.same(f"{what}: disk", True, number in host.disks)
    if host.up and number in host.wanted:
        report.same(f"{what}: running", True, number in host.running)
