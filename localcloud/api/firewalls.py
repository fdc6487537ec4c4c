"""Firewalls: rules, and what they are applied to (servers, or label selectors that are followed live)."""

from __future__ import annotations

import re
from typing import Any

from localcloud import labels as label_rules
from localcloud.api import kinds
from localcloud.api.call import Call, network_of
from localcloud.api.errors import invalid, limit, refused
from localcloud.api.firewall_sync import applied_servers, apply_actions, firewalls_of, has_public_ip
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Scope

KIND = "firewall"
MAX_RULES, MAX_CIDRS, MAX_PER_SERVER, MAX_EFFECTIVE = 50, 100, 5, 500  # effective: one for each CIDR of a rule
PROTOCOLS = ("tcp", "udp", "icmp", "esp", "gre")


def view(scope: Scope, data: Data) -> Data:
    """The firewall as the API shows it; label selectors come with the servers they match now."""
    rows = []
    for row in data["applied_to"]:
        if row["type"] == "server":
            rows.append(row)
        else:
            servers = [{"type": "server", "server": {"id": s["id"]}} for s in applied_servers(scope, [row])]
            rows.append({**row, "applied_to_resources": servers})
    return {**data, "applied_to": rows}


def _port(field: str, value: Any) -> str:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(value) if isinstance(value, int | str) else "")
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= low <= high <= 65535:
        raise invalid(field, f"{value!r} is not a port (1-65535) or a range of ports like 80-85")
    return str(value)


def _rule(number: int, wish: Any) -> Data:
    """One valid rule with all six keys."""
    field = f"rules.{number}"
    if not isinstance(wish, dict):
        raise invalid(field, "must be an object")
    direction, protocol, description = wish.get("direction"), wish.get("protocol"), wish.get("description")
    if direction not in ("in", "out"):
        raise invalid(f"{field}.direction", "must be in or out")
    if protocol not in PROTOCOLS:
        raise invalid(f"{field}.protocol", f"must be one of {', '.join(PROTOCOLS)}")
    if protocol in ("tcp", "udp"):
        port: str | None = _port(f"{field}.port", wish.get("port"))
    elif wish.get("port") not in (None, ""):
        raise invalid(f"{field}.port", f"{protocol} has no ports")
    else:
        port = None
    if description is not None and (not isinstance(description, str) or len(description) > 255):
        raise invalid(f"{field}.description", "must be a string of at most 255 characters")
    ips: dict[str, list[str]] = {}
    for key, used in (("source_ips", direction == "in"), ("destination_ips", direction == "out")):
        values = wish.get(key) or []
        if not isinstance(values, list) or len(values) > MAX_CIDRS or bool(values) != used:
            needed = "needs 1 to 100 CIDRs" if used else "must be empty"
            raise invalid(f"{field}.{key}", f"{needed} in a rule of direction {direction}")
        ips[key] = [str(network_of(f"{field}.{key}", value, version=None)) for value in values]
    return {"direction": direction, "protocol": protocol, "port": port, **ips, "description": description}


def _rules(call: Call) -> list[Data]:
    wishes = call.items("rules")
    if len(wishes) > MAX_RULES:
        raise invalid("rules", f"at most {MAX_RULES} rules")
    rows = [_rule(number, wish) for number, wish in enumerate(wishes)]
    if sum(len(row["source_ips"]) + len(row["destination_ips"]) for row in rows) > MAX_EFFECTIVE:
        raise invalid("rules", f"at most {MAX_EFFECTIVE} CIDRs in all")
    return rows


def _resources(call: Call, key: str) -> list[Data]:
    """The well-formed entries of apply_to, remove_from; servers must exist."""
    rows = []
    for number, wish in enumerate(call.items(key)):
        field = f"{key}.{number}"
        kind = wish.get("type") if isinstance(wish, dict) else None
        inner = wish.get(kind) if kind in ("server", "label_selector") else None
        if not isinstance(inner, dict):
            raise invalid(field, "must name a server or a label_selector")
        if kind == "server":
            server_id = inner.get("id")
            if not isinstance(server_id, int) or call.get("server", server_id) is None:
                raise refused("firewall_resource_not_found", f"server with ID '{server_id}' not found", 404)
            rows.append({"type": "server", "server": {"id": server_id}})
        else:
            selector = inner.get("selector")
            try:
                label_rules.parse_selector(selector if isinstance(selector, str) else "")
            except ValueError as error:
                raise invalid(field, str(error)) from None
            rows.append({"type": "label_selector", "label_selector": {"selector": selector}})
    return rows


def _apply(call: Call, data: Data, rows: list[Data]) -> list[Data]:
    """Add to applied_to, after checking all of them, and return the actions."""
    for number, row in enumerate(rows):
        if row in data["applied_to"] or row in rows[:number]:
            raise refused("firewall_already_applied", "firewall is already applied to this resource")
        if row["type"] == "server":
            server = call.find("server", row["server"]["id"])
            if not has_public_ip(call, server):
                raise refused("private_net_only_server", f"server {server['name']!r} has no public network")
            if len(firewalls_of(call, server)) >= MAX_PER_SERVER:
                raise limit("firewalls_per_server")
    data["applied_to"] += rows
    call.save(KIND, data)
    return apply_actions(call, "apply_firewall", data["id"], rows)


def create(call: Call) -> Answer:
    labels, rules, rows = call.labels(), _rules(call), _resources(call, "apply_to")
    data = call.add(KIND, {"name": call.name(KIND), "labels": labels, "rules": rules, "applied_to": []})
    actions = [call.acted("set_firewall_rules", [(KIND, data["id"])])] if "rules" in call.body else []
    actions += _apply(call, data, rows)
    return 201, {KIND: view(call, data), "actions": actions}


def delete(call: Call) -> Answer:
    data = call.target(KIND)
    if data["applied_to"]:
        raise refused("resource_in_use", "firewall is still applied to resources")
    call.delete(KIND, data)
    return 204, None


def set_rules(call: Call) -> Answer:
    data = call.target(KIND)
    if "rules" not in call.body:
        raise invalid("rules", "must be a list")
    data["rules"] = _rules(call)
    call.save(KIND, data)
    servers = [{"type": "server", "server": {"id": s["id"]}} for s in applied_servers(call, data["applied_to"])]
    actions = [call.acted("set_firewall_rules", [(KIND, data["id"])])]
    return 201, {"actions": actions + apply_actions(call, "apply_firewall", data["id"], servers)}


def apply_to_resources(call: Call) -> Answer:
    data = call.target(KIND)
    return 201, {"actions": _apply(call, data, _resources(call, "apply_to"))}


def remove_from_resources(call: Call) -> Answer:
    data, rows = call.target(KIND), _resources(call, "remove_from")
    for row in rows:
        if row not in data["applied_to"]:
            if row["type"] == "server" and row["server"]["id"] in [
                s["id"] for s in applied_servers(call, data["applied_to"])
            ]:
                raise refused(
                    "firewall_managed_by_label_selector", "firewall is applied to this server by a label selector"
                )
            raise refused("firewall_resource_not_found", "firewall is not applied to this resource")
    data["applied_to"] = [row for row in data["applied_to"] if row not in rows]
    call.save(KIND, data)
    return 201, {"actions": apply_actions(call, "remove_firewall", data["id"], rows)}


ROUTES: list[Route] = [
    ("POST", "/firewalls", create),
    *kinds.routes(KIND, view),
    ("DELETE", "/firewalls/{id}", delete),
    ("POST", "/firewalls/{id}/actions/set_rules", set_rules),
    ("POST", "/firewalls/{id}/actions/apply_to_resources", apply_to_resources),
    ("POST", "/firewalls/{id}/actions/remove_from_resources", remove_from_resources),
]
