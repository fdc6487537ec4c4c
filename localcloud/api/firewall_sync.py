"""Which firewalls hold for which server, and bringing the machines' packet filters in line with that."""

from __future__ import annotations

from localcloud.backend import Rule
from localcloud.labels import parse_selector
from localcloud.store import Data
from localcloud.worker import Operation, Resource, Scope


def has_public_ip(scope: Scope, server: Data) -> bool:
    """True if the server has a public address."""
    return any(row["assignee_id"] == server["id"] for row in scope.look("primary_ip"))


def _holds(row: Data, server: Data) -> bool:
    if row["type"] == "server":
        return bool(row["server"]["id"] == server["id"])
    return parse_selector(row["label_selector"]["selector"])(server["labels"])


def applied_servers(scope: Scope, rows: list[Data]) -> list[Data]:
    """The servers that entries of applied_to mean now. A selector passes by servers without a public address."""
    found = []
    for server in scope.all("server"):
        direct = any(row["type"] == "server" and _holds(row, server) for row in rows)
        if direct or (any(_holds(row, server) for row in rows) and has_public_ip(scope, server)):
            found.append(server)
    return found


def firewalls_of(scope: Scope, server: Data) -> list[Data]:
    """The firewalls that hold for a server, by id; to read."""
    return [row for row in scope.look("firewall") if any(_holds(entry, server) for entry in row["applied_to"])]


def rules_of(scope: Scope, server: Data) -> tuple[Rule, ...] | None:
    """The union of the rules of the server's firewalls, in order; None if it has no firewall."""
    firewalls = firewalls_of(scope, server)
    if not firewalls:
        return None
    rules = [
        Rule(row["direction"], row["protocol"], row["port"], tuple(row["source_ips"]), tuple(row["destination_ips"]))
        for firewall in firewalls
        for row in firewall["rules"]
    ]
    return tuple(dict.fromkeys(rules))


def apply_actions(scope: Scope, command: str, firewall_id: int, rows: list[Data]) -> list[Data]:
    """One action per entry of applied_to that came or went; it ends when the servers' filters are in place."""
    actions = []
    for row in rows:
        servers = [server["id"] for server in applied_servers(scope, [row])]
        resources: list[Resource] = [("firewall", firewall_id)]
        if row["type"] == "server":
            resources.append(("server", row["server"]["id"]))
        also: list[Resource] = [("server", server_id) for server_id in servers]
        actions.append(scope.act(command, resources, "sync_firewall", {"servers": servers}, also=also))
    return actions


def sync_later(scope: Scope, server: Data) -> None:
    """Queue an update of a server's filter without an action to see (its labels changed)."""
    key: Resource = ("server", server["id"])
    scope.act("sync_firewall", [key], "sync_firewall", {"servers": [server["id"]]}, hidden=True)


def _sync(scope: Scope, args: Data) -> None:
    for server_id in args["servers"]:
        if server := scope.get("server", server_id):
            scope.cloud.backend.set_firewall(server_id, rules_of(scope, server))


OPERATIONS = {"sync_firewall": Operation(work=_sync)}
