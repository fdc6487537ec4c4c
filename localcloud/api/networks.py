"""Networks with their subnets and routes. Which servers are in a network is a field of the server (private_net)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from localcloud import addresses, catalog
from localcloud.api import kinds, lb_state, network_routes
from localcloud.api.call import Call, network_of
from localcloud.api.errors import invalid, limit, not_found, refused
from localcloud.api.listing import page
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Operation, Resource, Scope

KIND = "network"
PRIVATE = [IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]  # RFC 1918
MAX_SUBNETS = 50
CHANGING = {  # command of an action under way -> status of the member
    "attach_to_network": "attaching", "detach_from_network": "detaching", "change_alias_ips": "updating",
}  # fmt: skip


def view(scope: Scope, data: Data) -> Data:
    """The network as the API shows it, with its servers."""
    attached = [row["id"] for row, _ in balancers(scope, data)]
    return {**data, "servers": [server["id"] for server, _ in members(scope, data)], "load_balancers": attached}


def members(scope: Scope, data: Data) -> list[tuple[Data, Data]]:
    """(server, its private_net entry) of every server in the network."""
    return [(s, nic) for s in scope.all("server") for nic in s["private_net"] if nic["network"] == data["id"]]


def balancers(scope: Scope, data: Data) -> list[tuple[Data, Data]]:
    """(load balancer, its private_net entry) of every load balancer in the network."""
    rows = scope.all("load_balancer")
    return [(row, nic) for row in rows for nic in row["private_net"] if nic["network"] == data["id"]]


def _range(value: Any) -> str:
    net = network_of("ip_range", value)
    if net.prefixlen > 24 or not any(net.subnet_of(private) for private in PRIVATE):  # type: ignore[arg-type]
        raise invalid("ip_range", f"{value!r} is not a private (RFC 1918) range of at least /24")
    return str(net)


def _vswitch(scope: Scope, kind: str, wish: Data) -> int | None:
    """The id of a Robot vSwitch, which belongs to one subnet. Kept and shown; nobody is at its other end here."""
    number = wish.get("vswitch_id") or None
    if (number is None) == (kind == "vswitch") or isinstance(number, bool) or not isinstance(number, int | None):
        raise invalid("vswitch_id", "is needed for subnets of type vswitch, and for no others")
    if number is not None and any(row["vswitch_id"] == number for net in scope.all(KIND) for row in net["subnets"]):
        raise refused("vswitch_id_already_used", f"vSwitch {number} is used by another subnet")
    return number


def _subnet(scope: Scope, data: Data, wish: Any) -> Data:
    """A valid new subnet of the network."""
    if not isinstance(wish, dict):
        raise invalid("subnets", "must be objects")
    kind = wish.get("type", "cloud")
    if kind not in ("cloud", "server", "vswitch"):
        raise invalid("type", "must be cloud, server or vswitch")
    vswitch = _vswitch(scope, kind, wish)
    zones = {row["network_zone"] for row in catalog.locations()}
    if wish.get("network_zone") not in zones:
        raise invalid("network_zone", f"must be one of {', '.join(sorted(zones))}")
    if len(data["subnets"]) >= MAX_SUBNETS:
        raise limit("subnet")
    others = [row["ip_range"] for row in data["subnets"]]
    text = wish.get("ip_range") or addresses.free_subnet(data["ip_range"], others)
    if text is None:
        raise invalid("ip_range", "there is no room for another subnet in the network")
    net = network_of("ip_range", text)
    if net.prefixlen > 30 or not net.subnet_of(IPv4Network(data["ip_range"])):  # type: ignore[arg-type]
        raise invalid("ip_range", f"{text!r} is not within the network's {data['ip_range']}, at most /30")
    if any(net.overlaps(IPv4Network(other)) for other in others):
        raise invalid("ip_range", f"{text!r} overlaps another subnet")
    gateway = addresses.gateway(data["ip_range"])
    return {
        "type": kind,
        "ip_range": str(net),
        "network_zone": wish["network_zone"],
        "gateway": gateway,
        "vswitch_id": vswitch,
    }


def create(call: Call) -> Answer:
    labels, expose = call.labels(), call.flag("expose_routes_to_vswitch")
    data: Data = {"ip_range": _range(call.body.get("ip_range")), "subnets": [], "routes": []}
    for wish in call.items("subnets"):
        data["subnets"].append(_subnet(call, data, wish))
    for wish in call.items("routes"):
        data["routes"].append(network_routes.valid(data, wish))
    rest = {"labels": labels, "protection": {"delete": False}, "expose_routes_to_vswitch": expose}
    data = call.add(KIND, {"name": call.name(KIND), **data, **rest})
    call.act("create_network", [(KIND, data["id"])], "create_network", {"id": data["id"]}, hidden=True)
    return 201, {KIND: view(call, data)}


def _change(call: Call, data: Data) -> None:
    data["expose_routes_to_vswitch"] = call.flag("expose_routes_to_vswitch", data["expose_routes_to_vswitch"])


def delete(call: Call) -> Answer:
    """Members are detached; only protection is in the way."""
    data = call.target(KIND)
    call.check_unprotected(KIND, data)
    servers = [server for server, _ in members(call, data)]
    for server in servers:
        server["private_net"] = [nic for nic in server["private_net"] if nic["network"] != data["id"]]
        call.save("server", server)
    attached = [row["id"] for row, _ in balancers(call, data)]
    for row, _ in balancers(call, data):
        call.save("load_balancer", {**row, "private_net": []})
    call.delete(KIND, data)
    keys: list[Resource] = [("server", server["id"]) for server in servers]
    keys += [("load_balancer", number) for number in attached]
    args = {"id": data["id"], "servers": [server["id"] for server in servers], "load_balancers": attached}
    call.act("delete_network", [(KIND, data["id"])], "delete_network", args, also=keys, hidden=True)
    return 204, None


def _acted(call: Call, data: Data, command: str) -> Answer:
    call.save(KIND, data)
    return 201, {"action": call.acted(command, [(KIND, data["id"])])}


def add_subnet(call: Call) -> Answer:
    data = call.target(KIND)
    data["subnets"].append(_subnet(call, data, call.body))
    return _acted(call, data, "add_subnet")


def delete_subnet(call: Call) -> Answer:
    data, text = call.target(KIND), call.required("ip_range")
    net = network_of("ip_range", text)
    if text not in [row["ip_range"] for row in data["subnets"]]:
        raise not_found("subnet", text)
    if any(IPv4Address(nic["ip"]) in net for _, nic in members(call, data)):
        raise refused("service_error", "cannot remove subnet because servers are attached to it")
    if any(IPv4Address(nic["ip"]) in net for _, nic in balancers(call, data)):
        raise refused("service_error", "cannot remove subnet because network has attached resources")
    data["subnets"] = [row for row in data["subnets"] if row["ip_range"] != text]
    return _acted(call, data, "delete_subnet")


def change_ip_range(call: Call) -> Answer:
    data, text = call.target(KIND), _range(call.body.get("ip_range"))
    old, new = IPv4Network(data["ip_range"]), IPv4Network(text)
    if not old.subnet_of(new) or addresses.gateway(text) != addresses.gateway(data["ip_range"]):
        raise invalid("ip_range", f"can only extend {data['ip_range']}, keeping its first address")
    data["ip_range"] = text
    call.save(KIND, data)
    return 201, {"action": call.act("change_ip_range", [(KIND, data["id"])], "create_network", {"id": data["id"]})}


def change_protection(call: Call) -> Answer:
    return 201, call.protect(KIND, call.target(KIND))


def member_list(call: Call) -> Answer:
    data = call.target(KIND)
    rows = []
    every = [("server", *pair) for pair in members(call, data)]
    every += [("load_balancer", *pair) for pair in balancers(call, data)]
    for kind, member, nic in every:
        subnet = next(
            row["ip_range"] for row in data["subnets"] if IPv4Address(nic["ip"]) in IPv4Network(row["ip_range"])
        )
        under_way = call.unfinished(kind, member["id"])
        state = next((state for command, state in CHANGING.items() if command in under_way), "ok")
        row = {"id": member["id"], "type": kind, "ip": nic["ip"], "alias_ips": nic["alias_ips"], "subnet": subnet}
        rows.append({**row, "status": state})
    return 200, page(call, "members", rows, equal=("type", "status", "subnet"), sort=("id", "type", "ip", "status"))


def _make(scope: Scope, args: Data) -> None:
    if data := scope.get(KIND, args["id"]):
        routes = tuple((row["destination"], row["gateway"]) for row in data["routes"])
        scope.cloud.backend.create_network(data["id"], data["ip_range"], routes)


def _remove(scope: Scope, args: Data) -> None:
    for server_id in args["servers"]:
        if scope.get("server", server_id):
            scope.cloud.backend.detach_network(server_id, args["id"])
    for number in args.get("load_balancers", []):
        if balancer := scope.get("load_balancer", number):
            scope.cloud.backend.set_load_balancer(lb_state.spec_of(scope, balancer))
    scope.cloud.backend.delete_network(args["id"])


OPERATIONS = {
    "create_network": Operation(work=_make),
    "change_routes": Operation(work=_make, failed=network_routes.take_back),
    "delete_network": Operation(work=_remove),
}

ROUTES: list[Route] = [
    ("POST", "/networks", create),
    *kinds.routes(KIND, view, change=_change),
    ("DELETE", "/networks/{id}", delete),
    ("GET", "/networks/{id}/members", member_list),
    ("POST", "/networks/{id}/actions/add_subnet", add_subnet),
    ("POST", "/networks/{id}/actions/delete_subnet", delete_subnet),
    *network_routes.ROUTES,
    ("POST", "/networks/{id}/actions/change_ip_range", change_ip_range),
    ("POST", "/networks/{id}/actions/change_protection", change_protection),
]
