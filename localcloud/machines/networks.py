"""Private networks: a namespace each, with the gateway's end of every member's interface and the network's routes."""

from __future__ import annotations

import json

from localcloud.machines import addresses as a
from localcloud.machines import netns
from localcloud.machines.paths import Paths
from localcloud.machines.sh import read_json, write

ROUTES = "77"  # the kernel's mark ("protocol") of routes that are a network's
Routes = tuple[tuple[str, str], ...]  # (destination, gateway) of each


def up(paths: Paths, network_id: int, ip_range: str, routes: Routes) -> None:
    """Make the network's namespace and set its routes; repeating it changes nothing."""
    ns = a.network_ns(network_id)
    netns.add(ns)
    netns.sysctl(ns, {"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/send_redirects": "0"})
    write(paths.networks / f"{network_id}.json", json.dumps({"ip_range": ip_range, "routes": routes}))
    set_routes(paths, network_id)


def down(paths: Paths, network_id: int) -> None:
    """Remove the network and every interface in it."""
    netns.delete(a.network_ns(network_id))
    (paths.networks / f"{network_id}.json").unlink(missing_ok=True)


def every(paths: Paths) -> dict[int, tuple[str, Routes]]:
    """All networks: id -> (range, routes)."""
    found = {}
    for file in paths.networks.glob("*.json"):
        data = read_json(file)
        if isinstance(data, dict):
            routes = tuple((str(target), str(gateway)) for target, gateway in data.get("routes", ()))
            found[int(file.stem)] = (str(data["ip_range"]), routes)
    return found


def set_routes(paths: Paths, network_id: int) -> None:
    """Let the gateway follow the network's routes: to those machines among their gateways that are in the network."""
    ns, (_, routes) = a.network_ns(network_id), every(paths).get(network_id, ("", ()))
    if not netns.exists(ns):
        return
    members = {
        str(row["dst"]): str(row["dev"]) for row in netns.query("-n", ns, "-4", "route", "show", "scope", "link")
    }
    there = netns.query("-n", ns, "-4", "route", "show", "proto", ROUTES)
    wanted = {target: gateway for target, gateway in routes if gateway in members}
    old = {"0.0.0.0/0" if row["dst"] == "default" else str(row["dst"]) for row in there}
    lines = [f"route del {target} proto {ROUTES}" for target in sorted(old - set(wanted))]
    for target, gateway in wanted.items():
        lines.append(f"route replace {target} via {gateway} dev {members[gateway]} onlink proto {ROUTES}")
    if lines:
        netns.batch(ns, lines)
