"""Load balancers: create, list, read, update, delete, metrics. Services, targets, settings have their own modules."""

from __future__ import annotations

from typing import Any

from localcloud import addresses, catalog
from localcloud.api import kinds, lb_services, lb_targets, primary_ips, server_networks
from localcloud.api.call import Call
from localcloud.api.catalogue import lookup
from localcloud.api.errors import invalid, refused
from localcloud.api.metrics import metrics_of
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Resource, Scope

KIND = "load_balancer"
ALGORITHMS = ("round_robin", "least_connections")


def host6(net: str) -> str:
    """The address a load balancer has in its /64."""
    return net.replace("/64", "1")


def view(scope: Scope, data: Data) -> Data:
    """The load balancer as the API shows it."""
    size = next(row for row in catalog.load_balancer_types() if row["name"] == data["load_balancer_type"])
    health = scope.cloud.backend.target_health(data["id"])
    ipv4, ipv6 = data["ipv4"], host6(data["ipv6"])
    public = {
        "enabled": data["public_enabled"],
        "ipv4": {"id": None, "ip": ipv4, "dns_ptr": data["ptr"].get(ipv4, primary_ips.default_ptr(ipv4))},
        "ipv6": {"id": None, "ip": ipv6, "dns_ptr": data["ptr"].get(ipv6, "")},
    }
    return {
        **{key: data[key] for key in ("id", "name", "labels", "created", "protection", "services")},
        "location": next(row for row in catalog.locations() if row["name"] == data["location"]),
        "load_balancer_type": size,
        "algorithm": {"type": data["algorithm"]},
        "public_net": public,
        "private_net": [{"network": nic["network"], "ip": nic["ip"]} for nic in data["private_net"]],
        "targets": [lb_targets.view(scope, data, target, health) for target in data["targets"]],
        "included_traffic": size["prices"][0]["included_traffic"],
        "ingoing_traffic": 0,
        "outgoing_traffic": 0,
    }


def algorithm(call: Call, value: Any) -> str:
    """The algorithm of a body {type}."""
    kind = value.get("type") if isinstance(value, dict) else value
    if kind not in ALGORITHMS:
        raise invalid("algorithm.type", f"must be one of {', '.join(ALGORITHMS)}")
    return str(kind)


def _place(call: Call) -> str:
    if ("location" in call.body) == ("network_zone" in call.body):
        raise invalid("location", "exactly one of location and network_zone must be given")
    if "location" in call.body:
        return str(lookup(catalog.locations(), "location", "location", call.body["location"])["name"])
    for row in catalog.locations():
        if row["network_zone"] == call.body["network_zone"]:
            return str(row["name"])
    raise invalid("network_zone", f"network zone {call.body['network_zone']!r} not found")


def create(call: Call) -> Answer:
    """Everything is checked before anything is changed."""
    labels, place, public = call.labels(), _place(call), call.flag("public_interface", True)
    size = lookup(
        catalog.load_balancer_types(), "load balancer type", "load_balancer_type", call.body.get("load_balancer_type")
    )
    wish = call.body.get("public_net", {})
    if not isinstance(wish, dict) or any(wish.values()):
        raise refused("unsupported_error", "load balancers of the local cloud take no primary IPs")
    kind = algorithm(call, call.body.get("algorithm", {"type": "round_robin"}))
    network = call.find("network", call.object_id("network")) if "network" in call.body else None
    if not public and not network:
        raise invalid("public_interface", "a load balancer needs a public interface or a network")
    new_id = call.cloud.store.next_id()
    data: Data = {
        "id": new_id, "name": call.name(KIND), "labels": labels, "location": place, "load_balancer_type": size["name"],
        "algorithm": kind, "ipv4": primary_ips.free_address(call, "ipv4"),
        "ipv6": primary_ips.free_address(call, "ipv6"), "mac": addresses.mac("96:01", new_id), "ptr": {},
        "public_enabled": public, "private_net": [], "services": [], "targets": [], "protection": {"delete": False},
    }  # fmt: skip
    also: list[Resource] = []
    if network:
        data["private_net"].append(server_networks.allocate(call, network, {}))
        also = [("network", network["id"])]
    for wish in call.items("services"):
        lb_services.add_to(call, data, wish)
    for wish in call.items("targets"):
        lb_targets.add_to(call, data, wish)
    data = call.add(KIND, data)
    action = call.act("create_load_balancer", [(KIND, new_id)], "sync_load_balancer", {"id": new_id}, also=also)
    return 201, {KIND: view(call, data), "action": action}


def delete(call: Call) -> Answer:
    data = call.target(KIND)
    call.check_unprotected(KIND, data)
    call.delete(KIND, data)
    args, own = {"id": data["id"]}, [(KIND, data["id"])]
    networks: list[Resource] = [("network", nic["network"]) for nic in data["private_net"]]
    action = call.act("delete_load_balancer", own, "delete_load_balancer", args, also=networks)
    return 200, {"action": action}


SERIES = {
    "open_connections": ["open_connections"],
    "connections_per_second": ["connections_per_second"],
    "requests_per_second": ["requests_per_second"],
    "bandwidth": ["bandwidth.in", "bandwidth.out"],
}


def metrics(call: Call) -> Answer:
    return 200, metrics_of(call, (KIND, call.target(KIND)["id"]), SERIES)


ROUTES: list[Route] = [
    ("POST", "/load_balancers", create),
    *kinds.routes(KIND, view),
    ("DELETE", "/load_balancers/{id}", delete),
    ("GET", "/load_balancers/{id}/metrics", metrics),
    *lb_services.ROUTES,
    *lb_targets.ROUTES,
]
