"""Floating IPs: create, list, read, update, delete, assign, unassign, reverse DNS. The server is a field of the IP."""

from __future__ import annotations

from localcloud import catalog
from localcloud.api import kinds, primary_ips
from localcloud.api.call import Call
from localcloud.api.catalogue import lookup
from localcloud.api.errors import invalid, locked, refused
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Operation, Resource, Scope

KIND = "floating_ip"


def view(data: Data) -> Data:
    """The floating IP as the API shows it."""
    shown = {key: value for key, value in data.items() if key not in ("ptr", "home_location")}
    home = next(row for row in catalog.locations() if row["name"] == data["home_location"])
    return {**shown, "home_location": home, "dns_ptr": primary_ips.dns_ptr(data)}


def _check_server(server: Data, zone: str | None = None) -> None:
    """Raises what is in the way of giving a floating IP of that network zone to the server."""
    if server["state"] == "deleting":
        raise locked("server")
    if zone not in (None, _zone(server["location"])):
        raise invalid("server", f"floating IP is in network zone {zone}, the server is not")


def _zone(location: str) -> str:
    return next(str(row["network_zone"]) for row in catalog.locations() if row["name"] == location)


def create(call: Call) -> Answer:
    version, labels = call.choice("type", ("ipv4", "ipv6")), call.labels()
    description = call.text("description", required=False)
    if "home_location" not in call.body and "server" not in call.body:
        raise invalid("home_location", "one of home_location and server must be given")
    server = call.find("server", call.object_id("server")) if "server" in call.body else None
    place = call.body.get("home_location") or (server or {}).get("location")
    place = str(lookup(catalog.locations(), "location", "home_location", place)["name"])
    if server:
        _check_server(server, _zone(place))
    name = call.name(KIND) if "name" in call.body else None
    ip = primary_ips.free_address(call, version)
    new_id = call.cloud.store.next_id()
    data = call.add(KIND, {
        "id": new_id, "name": name or f"floating-ip-{new_id}", "type": version, "ip": ip, "description": description,
        "server": server["id"] if server else None, "home_location": place, "blocked": False, "ptr": {},
        "labels": labels, "protection": {"delete": False},
    })  # fmt: skip
    action = _moved(call, "assign_floating_ip", data, server["id"]) if server else None
    return 201, {KIND: view(data), "action": action}


def _change(call: Call, data: Data) -> None:
    if "description" in call.body:
        data["description"] = call.text("description", required=False)


def delete(call: Call) -> Answer:
    data = call.target(KIND)
    call.check_unprotected(KIND, data)
    if data["server"] is not None:
        raise refused("must_be_unassigned", "floating IP must be unassigned to be deleted")
    call.delete(KIND, data)
    call.act("delete_floating_ip", [(KIND, data["id"])], "forget_floating_ip", {"ip": data["ip"]}, hidden=True)
    return 204, None


def _moved(call: Call, command: str, data: Data, server_id: int) -> Data:
    """Save and queue the change of the route; the action names the server that got or lost the IP."""
    call.save(KIND, data)
    resources: list[Resource] = [(KIND, data["id"]), ("server", server_id)]
    return call.act(command, resources, "route_floating_ip", {"id": data["id"]})


def assign(call: Call) -> Answer:
    """From another server straight to this one is allowed, as on Hetzner; to the same one is not."""
    data = call.target(KIND)
    server = call.find("server", call.object_id("server"))
    if data["server"] == server["id"]:
        raise refused("floating_ip_assigned", "floating IP is already assigned to this server")
    _check_server(server, _zone(data["home_location"]))
    data["server"] = server["id"]
    return 201, {"action": _moved(call, "assign_floating_ip", data, server["id"])}


def unassign(call: Call) -> Answer:
    data = call.target(KIND)
    before, data["server"] = data["server"], None
    if before is None:
        raise refused("floating_ip_not_assigned", "floating IP is not assigned")
    return 201, {"action": _moved(call, "unassign_floating_ip", data, before)}


def change_dns_ptr(call: Call) -> Answer:
    data = call.target(KIND)
    primary_ips.set_ptr(call, data, KIND)
    return 201, {"action": call.acted("change_dns_ptr", [(KIND, data["id"])])}


def change_protection(call: Call) -> Answer:
    return 201, call.protect(KIND, call.target(KIND))


def _route(scope: Scope, args: Data) -> None:
    if data := scope.get(KIND, args["id"]):
        scope.cloud.backend.route_floating_ip(data["ip"], data["server"])


def _forget(scope: Scope, args: Data) -> None:
    scope.cloud.backend.forget_floating_ip(args["ip"])


OPERATIONS = {"route_floating_ip": Operation(work=_route), "forget_floating_ip": Operation(work=_forget)}

ROUTES: list[Route] = [
    ("POST", "/floating_ips", create),
    *kinds.routes(KIND, lambda scope, data: view(data), equal=("name", "type", "ip"), change=_change),
    ("DELETE", "/floating_ips/{id}", delete),
    ("POST", "/floating_ips/{id}/actions/assign", assign),
    ("POST", "/floating_ips/{id}/actions/unassign", unassign),
    ("POST", "/floating_ips/{id}/actions/change_dns_ptr", change_dns_ptr),
    ("POST", "/floating_ips/{id}/actions/change_protection", change_protection),
]
