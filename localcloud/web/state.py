"""What the web console shows of one project, as JSON. Field by field: nothing that the API keeps secret is in it."""

from __future__ import annotations

from typing import Any

from localcloud import fault_store
from localcloud.api import firewalls, floating_ips, load_balancers, networks, primary_ips, server_view
from localcloud.api.firewall_sync import applied_servers
from localcloud.api_only import ApiOnlyBackend
from localcloud.store import Data
from localcloud.worker import Cloud, Scope

ACTIONS = 100  # the newest ones are shown
NAMED = ("server", "network", "firewall", "load_balancer", "volume", "floating_ip", "primary_ip", "image")
COMMON = ("id", "name", "created", "labels", "protection")


class Reader(Scope):
    """A project, to read: its rows are shared."""

    def all(self, kind: str) -> list[Data]:
        return self.look(kind)

    def get(self, kind: str, object_id: int) -> Data | None:
        return self.cloud.store.look_at(self.project, kind, object_id)


def projects(cloud: Cloud) -> list[Data]:
    """All projects, with how many servers each has."""
    counts = cloud.store.counts("server")
    return [{"id": number, "name": name, "servers": counts.get(number, 0)} for number, name in cloud.store.projects()]


def state(cloud: Cloud, project: int) -> Data:
    """Everything the console shows of the project."""
    scope = Reader(cloud, project)
    return {
        "machines": not isinstance(cloud.backend, ApiOnlyBackend),
        "projects": projects(cloud),
        "project": project,
        "servers": [_server(scope, row) for row in scope.all("server")],
        "networks": [_network(scope, row) for row in scope.all("network")],
        "firewalls": [_firewall(scope, row) for row in scope.all("firewall")],
        "load_balancers": [_balancer(scope, row) for row in scope.all("load_balancer")],
        "volumes": [_some(row, "size", "server", "location", "status", "format") for row in scope.all("volume")],
        "addresses": _addresses(scope),
        "actions": _actions(scope),
        "faults": [{"id": f.id, "kind": f.kind, "left": f.count} for f in fault_store.listed(cloud.store)],
        "unavailable": [f"{name}@{place}" for name, place in sorted(cloud.store.unavailable())],
    }


def _some(row: Data, *keys: str) -> Data:
    return {key: row.get(key) for key in (*COMMON, *keys)}


def _server(scope: Scope, row: Data) -> Data:
    shown = server_view.view(scope, row)
    net, size, image = shown["public_net"], shown["server_type"], shown["image"]
    group = shown["placement_group"]
    return _some(shown, "status", "locked", "rescue_enabled", "volumes", "load_balancers") | {
        "type": size["name"],
        "cores": size["cores"],
        "memory": size["memory"],
        "disk": shown["primary_disk_size"],
        "location": shown["location"]["name"],
        "image": image["name"] or image["description"],
        "ipv4": net["ipv4"] and net["ipv4"]["ip"],
        "ipv6": net["ipv6"] and net["ipv6"]["ip"],
        "firewalls": [entry["id"] for entry in net["firewalls"]],
        "networks": [{"id": nic["network"], "ip": nic["ip"]} for nic in shown["private_net"]],
        "group": group and group["name"],
    }


def _network(scope: Scope, row: Data) -> Data:
    members = networks.members(scope, row) + networks.balancers(scope, row)
    found = [{"id": member["id"], "name": member["name"], "ip": nic["ip"]} for member, nic in members]
    return _some(row, "ip_range", "subnets", "routes") | {"members": found}


def _firewall(scope: Scope, row: Data) -> Data:
    shown = firewalls.view(scope, row)
    selectors = [entry["label_selector"]["selector"] for entry in row["applied_to"] if entry["type"] != "server"]
    servers = [server["id"] for server in applied_servers(scope, row["applied_to"])]
    return _some(shown, "rules") | {"servers": servers, "selectors": selectors}


def _balancer(scope: Any, row: Data) -> Data:
    shown = load_balancers.view(scope, row)
    services = [{key: service[key] for key in ("protocol", "listen_port", "destination_port")} for service in shown["services"]]  # fmt: skip # noqa: E501
    return _some(shown) | {
        "type": shown["load_balancer_type"]["name"],
        "algorithm": shown["algorithm"]["type"],
        "location": shown["location"]["name"],
        "ipv4": shown["public_net"]["ipv4"]["ip"],
        "public": shown["public_net"]["enabled"],
        "services": services,
        "targets": [_target(target) for target in shown["targets"]],
    }


def _target(target: Data) -> Data:
    kind = target["type"]
    inside = [_target(member) for member in target.get("targets") or []]
    name = {"server": "id", "label_selector": "selector", "ip": "ip"}[kind]
    health = [entry["status"] for entry in target.get("health_status") or []]
    return {"type": kind, "what": target[kind][name], "health": health, "targets": inside}


def _addresses(scope: Scope) -> list[Data]:
    rows = [{**_some(row, "ip", "type"), "kind": "primary", "server": row["assignee_id"]} for row in scope.all(primary_ips.KIND)]  # fmt: skip # noqa: E501
    return rows + [{**_some(row, "ip", "type", "server"), "kind": "floating"} for row in scope.all(floating_ips.KIND)]


def _actions(scope: Scope) -> list[Data]:
    """The newest first, with the names of what they are about."""
    named = {(kind, row["id"]): row["name"] for kind in NAMED for row in scope.all(kind)}
    return [
        {**row, "resources": [{**part, "name": named.get((part["type"], part["id"]))} for part in row["resources"]]}
        for row in scope.cloud.store.newest_actions(scope.project, ACTIONS)
    ]
