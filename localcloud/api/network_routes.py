"""A network's routes: what the gateway sends on to a machine of the network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from localcloud import addresses
from localcloud.api.call import Call, network_of
from localcloud.api.errors import invalid, limit, not_found
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Scope

KIND = "network"
MAX_ROUTES = 100


def valid(data: Data, wish: Any) -> Data:
    """A valid new route of the network."""
    if not isinstance(wish, dict):
        raise invalid("routes", "must be objects")
    destination = str(network_of("destination", wish.get("destination")))
    try:
        gateway = IPv4Address(wish.get("gateway"))
    except ValueError:
        raise invalid("gateway", "must be an IPv4 address") from None
    if gateway not in IPv4Network(data["ip_range"]) or str(gateway) == addresses.gateway(data["ip_range"]):
        raise invalid("gateway", "must be an address of the network other than its own gateway")
    if any(row["destination"] == destination for row in data["routes"]):
        raise invalid("destination", "there is a route to this destination already")
    if len(data["routes"]) >= MAX_ROUTES:
        raise limit("route")
    return {"destination": destination, "gateway": str(gateway)}


def add_route(call: Call) -> Answer:
    data = call.target(KIND)
    route = valid(data, call.body)
    data["routes"].append(route)
    return _routed(call, data, "add_route", route)


def delete_route(call: Call) -> Answer:
    data = call.target(KIND)
    wish = {"destination": call.required("destination"), "gateway": call.required("gateway")}
    if wish not in data["routes"]:
        raise not_found("route", wish["destination"])
    data["routes"].remove(wish)
    return _routed(call, data, "delete_route", wish)


def _routed(call: Call, data: Data, command: str, route: Data) -> Answer:
    """The route is in the network at once; the gateway follows it when the action ends."""
    call.save(KIND, data)
    args = {"id": data["id"], "undo": command, "route": route}
    return 201, {"action": call.act(command, [(KIND, data["id"])], "change_routes", args)}


def take_back(scope: Scope, args: Data) -> None:
    """The action failed: the network has the routes it had."""
    if data := scope.get(KIND, args["id"]):
        rest = [row for row in data["routes"] if row != args["route"]]
        scope.save(KIND, {**data, "routes": rest if args["undo"] == "add_route" else [*rest, args["route"]]})


ROUTES: list[Route] = [
    ("POST", "/networks/{id}/actions/add_route", add_route),
    ("POST", "/networks/{id}/actions/delete_route", delete_route),
]
