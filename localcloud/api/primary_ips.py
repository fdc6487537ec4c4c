"""Primary IPs: create, list, read, update, delete, assign, unassign, reverse DNS. The assignee is a field of the IP."""

from __future__ import annotations

from typing import Any

from localcloud import addresses, catalog
from localcloud.api import kinds
from localcloud.api.call import Call
from localcloud.api.catalogue import lookup
from localcloud.api.errors import invalid, refused
from localcloud.api.routes import Answer, Route
from localcloud.api.server_state import require_off, spec_of
from localcloud.store import Data
from localcloud.worker import Operation, Resource, Scope

KIND = "primary_ip"


def default_ptr(ip: str) -> str:
    """The reverse name of an address nobody gave one."""
    return f"static.{'.'.join(reversed(ip.split('.')))}.clients.your-server.de"


def dns_ptr(data: Data) -> list[Data]:
    """The reverse names as the API shows them: IPv4 always one, IPv6 only those set."""
    if data["type"] == "ipv4":
        return [{"ip": data["ip"], "dns_ptr": data["ptr"].get(data["ip"], default_ptr(data["ip"]))}]
    return [{"ip": ip, "dns_ptr": name} for ip, name in data["ptr"].items()]


def view(data: Data) -> Data:
    """The primary IP as the API shows it."""
    shown = {key: value for key, value in data.items() if key != "ptr"}
    location = next(row for row in catalog.locations() if row["name"] == data["location"])
    datacenter = catalog.datacenter_of(data["location"])
    return {**shown, "location": location, "datacenter": datacenter, "dns_ptr": dns_ptr(data)}


def free_address(scope: Scope, version: str) -> str:
    """The lowest public address (IPv6: /64) that no primary IP, floating IP or load balancer of any project has."""
    look = scope.cloud.store.look
    used = [row["ip"] for kind in ("primary_ip", "floating_ip") for row in look(None, kind)]
    used += [row[version] for row in look(None, "load_balancer")]
    ip = addresses.free_ipv4(used) if version == "ipv4" else addresses.free_ipv6(used)
    if ip is None:
        raise refused("resource_unavailable", f"no free {version} address is left in the local cloud", 412)
    return ip


def allocate(scope: Scope, version: str, name: str | None, location: str, **fields: Any) -> Data:
    """Make a primary IP with the lowest free address; without a name it is called primary_ip-<id>."""
    ip = free_address(scope, version)
    new_id = scope.cloud.store.next_id()
    data: Data = {
        "id": new_id,
        "name": name or f"primary_ip-{new_id}",
        "type": version,
        "ip": ip,
        "assignee_id": None,
        "assignee_type": "server",
        "auto_delete": False,
        "blocked": False,
        "ptr": {},
        "location": location,
        "labels": {},
        "protection": {"delete": False},
    }
    return scope.add(KIND, {**data, **fields})


def set_ptr(call: Call, data: Data, kind: str = KIND) -> None:
    """Carry out change_dns_ptr {ip, dns_ptr} on a primary or floating IP; no dns_ptr resets it."""
    ip, name = call.required("ip"), call.text("dns_ptr", required=False)
    if not covers(data, ip):
        raise invalid("ip", f"{ip!r} does not belong to this resource")
    data["ptr"].pop(ip, None)
    if name:
        data["ptr"][ip] = name
    call.save(kind, data)


def covers(data: Data, ip: str) -> bool:
    """True if the address is the IP's, or in its /64."""
    if data["type"] == "ipv4":
        return bool(data["ip"] == ip)
    try:
        return addresses.in_range(ip, data["ip"])
    except ValueError:
        return False


def place_of(call: Call) -> str | None:
    """The name of the location that `location` or `datacenter` of the body means."""
    if "location" in call.body:
        return str(lookup(catalog.locations(), "location", "location", call.body["location"])["name"])
    if "datacenter" in call.body:
        row = lookup(catalog.datacenters(), "datacenter", "datacenter", call.body["datacenter"])
        return str(row["location"]["name"])
    return None


def check_assignable(scope: Scope, data: Data, server: Data) -> None:
    """Raises what is in the way of giving the IP to the server."""
    if data["assignee_id"] is not None:
        raise refused("primary_ip_assigned", f"primary IP {data['name']!r} is already assigned")
    if data["location"] != server["location"]:
        raise refused("primary_ip_datacenter_mismatch", "primary IP and server are in different locations")
    if any(row["assignee_id"] == server["id"] and row["type"] == data["type"] for row in scope.all(KIND)):
        raise refused(f"server_has_{data['type']}", f"server already has an {data['type']} address")
    require_off(scope, server)


def create(call: Call) -> Answer:
    version, labels = call.choice("type", ("ipv4", "ipv6")), call.labels()
    call.choice("assignee_type", ("server",), "server")
    auto_delete, place = call.flag("auto_delete"), place_of(call)
    server = call.find("server", call.object_id("assignee_id")) if "assignee_id" in call.body else None
    if (server is None) == (place is None):
        raise invalid("location", "exactly one of location (or datacenter) and assignee_id must be given")
    name = call.name(KIND)
    location: str = server["location"] if server else str(place)
    if server:
        check_assignable(call, {"assignee_id": None, "location": location, "type": version, "name": name}, server)
    data = allocate(call, version, name, location, labels=labels, auto_delete=auto_delete)
    action = _move(call, "create_primary_ip", data, server["id"]) if server else None
    return 201, {KIND: view(data), "action": action}


def _change(call: Call, data: Data) -> None:
    data["auto_delete"] = call.flag("auto_delete", data["auto_delete"])


def delete(call: Call) -> Answer:
    data = call.target(KIND)
    call.check_unprotected(KIND, data)
    if data["assignee_id"] is not None:
        raise refused("must_be_unassigned", "primary IP must be unassigned to be deleted")
    call.delete(KIND, data)
    return 204, None


def _move(call: Call, command: str, data: Data, server_id: int | None) -> Data:
    """Change the assignee and queue the change of the (stopped) server."""
    affected = server_id or data["assignee_id"]
    data["assignee_id"] = server_id
    call.save(KIND, data)
    resources: list[Resource] = [(KIND, data["id"]), ("server", affected)]
    return call.act(command, resources, "update_addresses", {"server": affected})


def assign(call: Call) -> Answer:
    data = call.target(KIND)
    call.choice("assignee_type", ("server",), "server")
    server = call.find("server", call.object_id("assignee_id"))
    if data["assignee_id"] is not None:
        raise refused("primary_ip_already_assigned", "primary IP is already assigned")
    check_assignable(call, data, server)
    return 201, {"action": _move(call, "assign_primary_ip", data, server["id"])}


def load_balancer_of(scope: Scope, server_id: int) -> Data | None:
    """A load balancer that reaches the server, named as its target, by the public address."""
    for row in scope.all("load_balancer"):
        for target in row["targets"]:
            if target.get("server") == {"id": server_id} and not target["use_private_ip"]:
                return row
    return None


def unassign(call: Call) -> Answer:
    data = call.target(KIND)
    if data["assignee_id"] is None:
        raise refused("primary_ip_not_assigned", "primary IP is not assigned")
    if row := load_balancer_of(call, data["assignee_id"]):
        raise refused("server_is_load_balancer_target", f"server is a target of load balancer {row['name']!r}")
    require_off(call, call.find("server", data["assignee_id"]))
    return 201, {"action": _move(call, "unassign_primary_ip", data, None)}


def change_dns_ptr(call: Call) -> Answer:
    data = call.target(KIND)
    set_ptr(call, data)
    return 201, {"action": call.acted("change_dns_ptr", [(KIND, data["id"])])}


def change_protection(call: Call) -> Answer:
    return 201, call.protect(KIND, call.target(KIND))


def _update(scope: Scope, args: Data) -> None:
    if server := scope.get("server", args["server"]):
        scope.cloud.backend.update_server(spec_of(scope, server))


OPERATIONS = {"update_addresses": Operation(work=_update)}

ROUTES: list[Route] = [
    ("POST", "/primary_ips", create),
    *kinds.routes(KIND, lambda scope, data: view(data), equal=("name", "ip", "type"), change=_change),
    ("DELETE", "/primary_ips/{id}", delete),
    ("POST", "/primary_ips/{id}/actions/assign", assign),
    ("POST", "/primary_ips/{id}/actions/unassign", unassign),
    ("POST", "/primary_ips/{id}/actions/change_dns_ptr", change_dns_ptr),
    ("POST", "/primary_ips/{id}/actions/change_protection", change_protection),
]
