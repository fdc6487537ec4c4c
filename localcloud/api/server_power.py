"""Power, rebuild and resize: the actions that only one at a time may be under way."""

from __future__ import annotations

import secrets

from localcloud import catalog
from localcloud.api import servers
from localcloud.api.call import Call
from localcloud.api.catalogue import lookup
from localcloud.api.errors import invalid, refused
from localcloud.api.images import image_for
from localcloud.api.routes import Answer, Handler, Route
from localcloud.api.server_state import require_off, require_unlocked, server_type
from localcloud.store import Data

COMMANDS = {  # path of the action -> command
    "poweron": "start_server",
    "poweroff": "stop_server",
    "shutdown": "shutdown_server",
    "reboot": "reboot_server",
    "reset": "reset_server",
}


def _power(command: str) -> Handler:
    def answer(call: Call) -> Answer:
        server = call.target("server")
        require_unlocked(call, server)
        connected = server["private_net"] or any(row["assignee_id"] == server["id"] for row in call.all("primary_ip"))
        if command == "start_server" and not connected:
            raise refused("unsupported_error", "a server needs a public or a private network to power on")
        action = call.act(command, [("server", server["id"])], command, {"server": server["id"]})
        return 201, {"action": action}

    return answer


def rebuild(call: Call) -> Answer:
    """Same id, addresses and volumes; the disk is new and the server is started."""
    server = call.target("server")
    architecture = server_type(server["server_type"])["architecture"]
    image = image_for(call, architecture, server["primary_disk_size"])
    call.check_unprotected("server", server, "rebuild")
    require_unlocked(call, server)
    password = None if server["ssh_public_keys"] else secrets.token_urlsafe(15)
    change: Data = {"image": image, "root_password": password}
    if "user_data" in call.body:
        change["user_data"] = call.text("user_data", required=False, max_length=servers.MAX_USER_DATA)
    args = {"server": server["id"], "change": change}
    action = call.act("rebuild_server", [("server", server["id"])], "rebuild_server", args)
    return 201, {"action": action, "root_password": password}


def change_type(call: Call) -> Answer:
    """The server must be off and is started afterwards."""
    server = call.target("server")
    new = lookup(catalog.server_types(), "server type", "server_type", call.body.get("server_type"))
    if "upgrade_disk" not in call.body:
        raise invalid("upgrade_disk", "must be true or false")
    upgrade, old = call.flag("upgrade_disk"), server_type(server["server_type"])
    if new["architecture"] != old["architecture"] or new["disk"] < server["primary_disk_size"] or new["deprecated"]:
        disk = server["primary_disk_size"]
        text = f"can't change to {new['name']!r}: other architecture, or its disk is smaller than {disk} GB"
        raise refused("invalid_server_type", text)
    if server["location"] not in [row["name"] for row in new["locations"]]:
        raise refused(
            "resource_unavailable", f"server type {new['name']!r} is not available in {server['location']}", 412
        )
    require_off(call, server)
    require_unlocked(call, server)
    disk = new["disk"] if upgrade else server["primary_disk_size"]
    args = {"server": server["id"], "change": {"server_type": new["name"], "primary_disk_size": disk}}
    return 201, {"action": call.act("change_server_type", [("server", server["id"])], "change_type", args)}


ROUTES: list[Route] = [
    *[("POST", f"/servers/{{id}}/actions/{path}", _power(command)) for path, command in COMMANDS.items()],
    ("POST", "/servers/{id}/actions/rebuild", rebuild),
    ("POST", "/servers/{id}/actions/change_type", change_type),
]
