"""What a load balancer is now: which servers its targets mean, and the specification the backend gets."""

from __future__ import annotations

from localcloud import catalog
from localcloud.api.call import Call
from localcloud.api.routes import Answer
from localcloud.api.server_state import ip_of, nic_of
from localcloud.backend import LoadBalancerSpec
from localcloud.labels import parse_selector
from localcloud.store import Data
from localcloud.worker import Operation, Resource, Scope

KIND = "load_balancer"


def type_of(data: Data) -> Data:
    """The load balancer's type."""
    return next(row for row in catalog.load_balancer_types() if row["name"] == data["load_balancer_type"])


def members(scope: Scope, target: Data) -> list[Data]:
    """The servers a target means now (none for an address)."""
    if target["type"] == "server":
        server = scope.get("server", target["server"]["id"])
        return [server] if server else []
    if target["type"] == "label_selector":
        match = parse_selector(target["label_selector"]["selector"])
        return [server for server in scope.all("server") if match(server["labels"])]
    return []


def address(scope: Scope, data: Data, server: Data, private: bool) -> str | None:
    """Where the load balancer reaches the server; None if it can't."""
    if private:
        networks = [nic["network"] for nic in data["private_net"]]
        return next((str(nic["ip"]) for nic in server["private_net"] if nic["network"] in networks), None)
    ip = ip_of(scope, server, "ipv4")
    return str(ip["ip"]) if ip else None


def addresses_of(scope: Scope, data: Data) -> list[str]:
    """All addresses that requests are sent to, each once, in the order of the targets."""
    found = []
    for target in data["targets"]:
        if target["type"] == "ip":
            found.append(target["ip"]["ip"])
        for server in members(scope, target):
            found.append(address(scope, data, server, target["use_private_ip"]))
    return [ip for ip in dict.fromkeys(found) if ip]


def spec_of(scope: Scope, data: Data) -> LoadBalancerSpec:
    """Everything the backend needs to know."""
    nics = [nic_of(scope, nic) for nic in data["private_net"]]
    certificates = {}
    for service in data["services"]:
        for number in (service["http"] or {}).get("certificates", []):
            row = scope.get("certificate", number)
            if row and row["certificate"]:
                certificates[number] = f"{row['certificate']}\n{row['private_key']}"
    return LoadBalancerSpec(
        id=data["id"],
        name=data["name"],
        location=data["location"],
        ipv4=data["ipv4"] if data["public_enabled"] else None,
        ipv6_net=data["ipv6"] if data["public_enabled"] else None,
        mac=data["mac"],
        nics=tuple(nic for nic in nics if nic),
        algorithm=data["algorithm"],
        services=tuple(data["services"]),
        targets=tuple(addresses_of(scope, data)),
        certificates=certificates,
        max_connections=type_of(data)["max_connections"],
    )


def acted(call: Call, data: Data, command: str, also: list[Resource] | None = None) -> Answer:
    """Save the change and queue its effect."""
    call.save(KIND, data)
    resources: list[Resource] = [(KIND, data["id"]), *(also or [])]
    return 201, {"action": call.act(command, resources, "sync_load_balancer", {"id": data["id"]})}


def sync_later(scope: Scope) -> None:
    """Servers came, went or changed: queue an update of every load balancer that has servers as targets."""
    for data in scope.all(KIND):
        if any(target["type"] != "ip" for target in data["targets"]):
            resource: Resource = (KIND, data["id"])
            scope.act("sync_load_balancer", [resource], "sync_load_balancer", {"id": data["id"]}, hidden=True)


def _sync(scope: Scope, args: Data) -> None:
    if data := scope.get(KIND, args["id"]):
        scope.cloud.backend.set_load_balancer(spec_of(scope, data))


def _remove(scope: Scope, args: Data) -> None:
    scope.cloud.backend.delete_load_balancer(args["id"])


OPERATIONS = {"sync_load_balancer": Operation(work=_sync), "delete_load_balancer": Operation(work=_remove)}
