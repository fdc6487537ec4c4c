"""The targets of a load balancer: servers, label selectors and addresses."""

from __future__ import annotations

import ipaddress
from typing import Any

from localcloud import addresses
from localcloud.api.call import Call
from localcloud.api.errors import invalid, limit, not_found, refused
from localcloud.api.lb_state import acted, address, addresses_of, members, type_of
from localcloud.api.routes import Answer, Route
from localcloud.labels import parse_selector
from localcloud.store import Data
from localcloud.worker import Resource, Scope

KIND = "load_balancer"


def _part(wish: Data, key: str, inner: str, kind: type) -> Any:
    part = wish.get(key)
    value = part.get(inner) if isinstance(part, dict) else None
    if isinstance(value, bool) or not isinstance(value, kind):
        raise invalid(f"{key}.{inner}", "is missing")
    return value


def parse(wish: Any) -> Data:
    """A target without use_private_ip: what identifies it. Raises invalid_input."""
    if not isinstance(wish, dict):
        raise invalid("targets", "must be objects")
    kind = wish.get("type")
    if kind == "server":
        return {"type": kind, "server": {"id": _part(wish, "server", "id", int)}}
    if kind == "label_selector":
        text = _part(wish, "label_selector", "selector", str)
        try:
            parse_selector(text)
        except ValueError as error:
            raise invalid("label_selector.selector", str(error)) from None
        return {"type": kind, "label_selector": {"selector": text}}
    if kind == "ip":
        text = _part(wish, "ip", "ip", str)
        try:
            return {"type": kind, "ip": {"ip": str(ipaddress.ip_address(text))}}
        except ValueError:
            raise invalid("ip.ip", f"{text!r} is no address") from None
    raise invalid("type", "must be server, label_selector or ip")


def _same(one: Data, other: Data) -> bool:
    return all(one.get(key) == other.get(key) for key in ("type", "server", "label_selector", "ip"))


def _ours(ip: str) -> bool:
    """True for an address the local cloud gives out."""
    return ip in addresses.PUBLIC_IPV4 or ipaddress.ip_address(ip) in addresses.PUBLIC_IPV6


def add_to(scope: Scope, data: Data, wish: Any) -> None:
    """Append a target to a load balancer (not saved). Raises what is in the way."""
    target = parse(wish)
    private = wish.get("use_private_ip") or False
    if not isinstance(private, bool):
        raise invalid("use_private_ip", "must be true or false")
    if target["type"] == "ip":
        if _ours(target["ip"]["ip"]):
            raise refused("cloud_resource_ip_not_allowed", "the address belongs to a resource of this cloud")
    else:
        target["use_private_ip"] = private
        if private and not data["private_net"]:
            raise refused("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
        if not private and not data["public_enabled"]:
            raise refused("load_balancer_public_interface_disabled", "the public interface is disabled")
    if target["type"] == "server":
        server = scope.get("server", target["server"]["id"])
        if server is None:
            raise not_found("server", target["server"]["id"])
        if address(scope, data, server, private) is None:
            if private:
                raise refused("server_not_attached_to_network", "server is in no network of the load balancer")
            raise refused("missing_ipv4", "server has no public IPv4 address")
    if any(_same(target, row) for row in data["targets"]):
        raise refused("target_already_defined", "target is already defined")
    data["targets"].append(target)
    if len(addresses_of(scope, data)) > type_of(data)["max_targets"]:
        raise limit("load_balancer_targets")


def view(scope: Scope, data: Data, target: Data, health: dict[tuple[str, int], str]) -> Data:
    """A target as the API shows it, with the health of each service there."""
    ports = [service["listen_port"] for service in data["services"]]

    def states(ip: str | None) -> list[Data]:
        return [{"listen_port": port, "status": health.get((ip or "", port), "unknown")} for port in ports]

    if target["type"] == "ip":
        return {**target, "health_status": states(target["ip"]["ip"])}
    private = target["use_private_ip"]
    rows = [
        {"type": "server", "server": {"id": server["id"]}, "use_private_ip": private,
         "health_status": states(address(scope, data, server, private))}
        for server in members(scope, target)
    ]  # fmt: skip
    if target["type"] == "label_selector":
        return {**target, "targets": rows}
    return {**target, "health_status": rows[0]["health_status"] if rows else []}


def _also(target: Data) -> list[Resource]:
    return [("server", target["server"]["id"])] if target["type"] == "server" else []


def add(call: Call) -> Answer:
    data = call.target(KIND)
    add_to(call, data, call.body)
    return acted(call, data, "add_target", _also(data["targets"][-1]))


def remove(call: Call) -> Answer:
    data, target = call.target(KIND), parse(call.body)
    kept = [row for row in data["targets"] if not _same(row, target)]
    if len(kept) == len(data["targets"]):
        raise refused("load_balancer_target_not_found", "load balancer target not found")
    data["targets"] = kept
    return acted(call, data, "remove_target", _also(target))


ROUTES: list[Route] = [
    ("POST", "/load_balancers/{id}/actions/add_target", add),
    ("POST", "/load_balancers/{id}/actions/remove_target", remove),
]
