"""A server as the API shows it: gathered from the server, its primary IPs, volumes, firewalls and group."""

from __future__ import annotations

from localcloud import catalog
from localcloud.api import placement_groups, primary_ips
from localcloud.api.firewall_sync import firewalls_of
from localcloud.api.lb_state import members
from localcloud.api.server_state import ip_of, is_locked, server_type, status
from localcloud.store import Data
from localcloud.worker import Scope


def view(scope: Scope, server: Data) -> Data:
    """All fields of a server."""
    size = server_type(server["server_type"])
    group = scope.get("placement_group", server["placement_group"]) if server["placement_group"] else None
    return {
        "id": server["id"],
        "name": server["name"],
        "status": status(scope, server),
        "created": server["created"],
        "public_net": _public_net(scope, server),
        "private_net": server["private_net"],
        "server_type": size,
        "location": next(row for row in catalog.locations() if row["name"] == server["location"]),
        "datacenter": catalog.datacenter_of(server["location"]),
        "image": server["image"],
        "iso": next((row for row in catalog.isos() if row["id"] == server.get("iso")), None),
        "rescue_enabled": bool(server.get("rescue")),
        "locked": is_locked(scope, server),
        "backup_window": server["backup_window"],
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": size["included_traffic"],
        "protection": server["protection"],
        "labels": server["labels"],
        "volumes": [row["id"] for row in scope.look("volume") if row["server"] == server["id"]],
        "load_balancers": [
            row["id"]
            for row in scope.look("load_balancer")
            if any(server["id"] == member["id"] for target in row["targets"] for member in members(scope, target))
        ],
        "primary_disk_size": server["primary_disk_size"],
        "placement_group": placement_groups.view(scope, group) if group else None,
    }


def _public_net(scope: Scope, server: Data) -> Data:
    """ipv4 and ipv6 are null where the server has none; the id is the primary IP's."""
    floating = [row["id"] for row in scope.look("floating_ip") if row["server"] == server["id"]]
    net: Data = {"ipv4": None, "ipv6": None, "floating_ips": floating}
    if ipv4 := ip_of(scope, server, "ipv4"):
        pointer = primary_ips.dns_ptr(ipv4)[0]["dns_ptr"]
        net["ipv4"] = {"id": ipv4["id"], "ip": ipv4["ip"], "blocked": False, "dns_ptr": pointer}
    if ipv6 := ip_of(scope, server, "ipv6"):
        net["ipv6"] = {"id": ipv6["id"], "ip": ipv6["ip"], "blocked": False, "dns_ptr": primary_ips.dns_ptr(ipv6)}
    pending = "sync_firewall" in scope.unfinished("server", server["id"])
    state = "pending" if pending else "applied"
    net["firewalls"] = [{"id": row["id"], "status": state} for row in firewalls_of(scope, server)]
    return net
