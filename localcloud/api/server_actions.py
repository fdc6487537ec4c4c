"""The other actions of a server: networks, placement group, backups, protection, reverse DNS."""

from __future__ import annotations

from localcloud.api import placement_groups, primary_ips, server_networks
from localcloud.api.call import Call
from localcloud.api.errors import invalid, refused
from localcloud.api.routes import Answer, Route
from localcloud.api.server_state import require_off
from localcloud.store import Data

BACKUP_WINDOW = "22-02"


def _acted(call: Call, server: Data, command: str) -> Answer:
    call.save("server", server)
    return 201, {"action": call.acted(command, [("server", server["id"])])}


def enable_backup(call: Call) -> Answer:
    server = call.target("server")
    server["backup_window"] = BACKUP_WINDOW
    return _acted(call, server, "enable_backup")


def disable_backup(call: Call) -> Answer:
    server = call.target("server")
    server["backup_window"] = None
    return _acted(call, server, "disable_backup")


def change_protection(call: Call) -> Answer:
    return 201, call.protect("server", call.target("server"), ("delete", "rebuild"))


def change_dns_ptr(call: Call) -> Answer:
    server, ip = call.target("server"), call.required("ip")
    for row in call.all("primary_ip"):
        if row["assignee_id"] == server["id"] and primary_ips.covers(row, ip):
            primary_ips.set_ptr(call, row)
            return _acted(call, server, "change_dns_ptr")
    raise invalid("ip", f"{ip!r} is not an address of this server")


def add_to_placement_group(call: Call) -> Answer:
    server, group = call.target("server"), call.find("placement_group", call.object_id("placement_group"))
    if server["placement_group"] is not None:
        raise refused("server_already_added", "server is in a placement group already")
    require_off(call, server)
    placement_groups.check_room(call, group)
    server["placement_group"] = group["id"]
    return _acted(call, server, "add_to_placement_group")


def remove_from_placement_group(call: Call) -> Answer:
    server = call.target("server")
    if server["placement_group"] is None:
        raise refused("server_not_in_placement_group", "server is in no placement group")
    server["placement_group"] = None
    return _acted(call, server, "remove_from_placement_group")


ROUTES: list[Route] = [
    ("POST", "/servers/{id}/actions/attach_to_network", server_networks.attach),
    ("POST", "/servers/{id}/actions/detach_from_network", server_networks.detach),
    ("POST", "/servers/{id}/actions/change_alias_ips", server_networks.change_alias_ips),
    ("POST", "/servers/{id}/actions/enable_backup", enable_backup),
    ("POST", "/servers/{id}/actions/disable_backup", disable_backup),
    ("POST", "/servers/{id}/actions/change_protection", change_protection),
    ("POST", "/servers/{id}/actions/change_dns_ptr", change_dns_ptr),
    ("POST", "/servers/{id}/actions/add_to_placement_group", add_to_placement_group),
    ("POST", "/servers/{id}/actions/remove_from_placement_group", remove_from_placement_group),
]
