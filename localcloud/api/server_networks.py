"""Servers in networks: addresses, attach, detach, alias addresses."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any

from localcloud import addresses
from localcloud.api import lb_state
from localcloud.api.call import Call
from localcloud.api.errors import invalid, limit, refused
from localcloud.api.networks import balancers, members
from localcloud.api.routes import Answer
from localcloud.api.server_state import nic_of, require_alive
from localcloud.store import Data
from localcloud.worker import Operation, Scope

MAX_NETWORKS = 3


def _address(text: Any, field: str) -> str:
    try:
        return str(IPv4Address(text))
    except (AddressValueError, TypeError):
        raise invalid(field, f"{text!r} is not an IPv4 address") from None


def _pick(network: Data, used: set[str], wish: Data) -> str:
    """The address asked for, or the lowest free one of the subnet asked for, or of the last subnet."""
    subnets = sorted((row["ip_range"] for row in network["subnets"]), key=IPv4Network)
    if not subnets:
        raise refused("no_subnet_available", "the network has no subnet")
    if wish.get("ip") is not None:
        ip = _address(wish["ip"], "ip")
        if not addresses.assignable(ip, network["ip_range"], subnets) or ip in used:
            raise refused("ip_not_available", f"address {ip} is not available in the network")
        return ip
    subnet = wish.get("ip_range") or subnets[-1]
    if subnet not in subnets:
        raise refused("no_subnet_available", f"the network has no subnet {subnet}")
    free = addresses.free_private(network["ip_range"], subnet, used)
    if free is None:
        raise refused("ip_not_available", f"subnet {subnet} has no free address")
    return free


def _used(scope: Scope, network: Data, but: int | None = None) -> set[str]:
    """All addresses taken in a network (without those of server `but`)."""
    nics = [nic for server, nic in (*members(scope, network), *balancers(scope, network)) if server["id"] != but]
    return {ip for nic in nics for ip in (nic["ip"], *nic["alias_ips"])}


def _aliases(network: Data, used: set[str], values: list[Any]) -> list[str]:
    subnets = [row["ip_range"] for row in network["subnets"]]
    ips = list(dict.fromkeys(_address(value, "alias_ips") for value in values))
    for ip in ips:
        if ip in used or not addresses.assignable(ip, network["ip_range"], subnets):
            raise refused("ip_not_available", f"address {ip} is not available in the network")
    return ips


def allocate(call: Call, network: Data, wish: Data) -> Data:
    """A new entry of private_net; `wish` may hold ip, ip_range, alias_ips."""
    used = _used(call, network)
    ip = _pick(network, used, wish)
    aliases = _aliases(network, used | {ip}, wish.get("alias_ips") or [])
    mac = addresses.mac("86:00:00", call.cloud.store.next_id())
    return {"network": network["id"], "ip": ip, "alias_ips": aliases, "mac_address": mac}


def attach(call: Call) -> Answer:
    server, network = call.target("server"), call.find("network", call.object_id("network"))
    call.items("alias_ips")
    if any(nic["network"] == network["id"] for nic in server["private_net"]):
        raise refused("server_already_attached", "server is already attached to this network")
    require_alive(server)
    if len(server["private_net"]) >= MAX_NETWORKS:
        raise limit("networks_per_server")
    for nic in server["private_net"]:
        other = call.find("network", nic["network"])
        if IPv4Network(other["ip_range"]).overlaps(IPv4Network(network["ip_range"])):
            raise refused("networks_overlap", f"network overlaps {other['name']!r}, which the server is attached to")
    nic = allocate(call, network, call.body)
    server["private_net"].append(nic)
    call.save("server", server)
    args = {"server": server["id"], "network": network["id"], "mac": nic["mac_address"]}
    resources = [("server", server["id"]), ("network", network["id"])]
    return 201, {"action": call.act("attach_to_network", resources, "attach_network", args)}


def _nic(call: Call, server: Data) -> Data:
    """The entry of private_net for the network in the body."""
    network_id = call.object_id("network")
    call.find("network", network_id)
    for nic in server["private_net"]:
        if nic["network"] == network_id:
            found: Data = nic
            return found
    raise refused("server_not_attached_to_network", "server is not attached to this network")


def detach(call: Call) -> Answer:
    """The address becomes free when the action has ended."""
    server = call.target("server")
    nic = _nic(call, server)
    require_alive(server)
    args = {"server": server["id"], "network": nic["network"], "mac": nic["mac_address"]}
    resources = [("server", server["id"]), ("network", nic["network"])]
    return 201, {"action": call.act("detach_from_network", resources, "detach_network", args)}


def change_alias_ips(call: Call) -> Answer:
    server = call.target("server")
    nic = _nic(call, server)
    network = call.find("network", nic["network"])
    nic["alias_ips"] = _aliases(network, _used(call, network, server["id"]) | {nic["ip"]}, call.items("alias_ips"))
    call.save("server", server)
    return 201, {"action": call.acted("change_alias_ips", [("server", server["id"]), ("network", network["id"])])}


def _work_attach(scope: Scope, args: Data) -> None:
    server = scope.get("server", args["server"])
    entry = next((nic for nic in server["private_net"] if nic["network"] == args["network"]), None) if server else None
    nic = nic_of(scope, entry) if entry else None
    if nic:
        scope.cloud.backend.attach_network(args["server"], nic)


def _sync(scope: Scope, args: Data) -> None:
    lb_state.sync_later(scope)


def _work_detach(scope: Scope, args: Data) -> None:
    if scope.get("server", args["server"]):
        scope.cloud.backend.detach_network(args["server"], args["network"])


def _forget(scope: Scope, args: Data) -> None:
    """Take out that interface. Not a later one to the same network: a detachment may have been asked for twice."""
    if server := scope.get("server", args["server"]):
        server["private_net"] = [nic for nic in server["private_net"] if nic["mac_address"] != args["mac"]]
        scope.save("server", server)
    lb_state.sync_later(scope)


OPERATIONS = {
    "attach_network": Operation(work=_work_attach, done=_sync, failed=_forget),
    "detach_network": Operation(work=_work_detach, done=_forget),
}
