"""Rescue system, root password and ISOs of a server."""

from __future__ import annotations

import secrets
from dataclasses import replace
from urllib.parse import urlsplit

from localcloud import catalog
from localcloud.api.call import Call
from localcloud.api.catalogue import lookup
from localcloud.api.errors import refused
from localcloud.api.routes import Answer, Route
from localcloud.api.server_state import require_unlocked, server_type, status
from localcloud.backend import ServerSpec
from localcloud.store import Data
from localcloud.worker import Operation, Scope


def _acted(call: Call, server: Data, command: str) -> Data:
    call.save("server", server)
    return call.acted(command, [("server", server["id"])])


def enable_rescue(call: Call) -> Answer:
    """The next boot is one of the rescue system, with that password or those keys."""
    server = call.target("server")
    call.choice("type", ("linux64",), "linux64")
    keys = [call.reference("ssh_key", "ssh_keys", value) for value in call.items("ssh_keys")]
    require_unlocked(call, server)
    password = None if keys else secrets.token_urlsafe(15)
    server["rescue"] = {"password": password, "keys": [key["public_key"] for key in keys]}
    return 201, {"action": _acted(call, server, "enable_rescue"), "root_password": password}


def disable_rescue(call: Call) -> Answer:
    server = call.target("server")
    require_unlocked(call, server)
    server["rescue"] = None
    return 201, {"action": _acted(call, server, "disable_rescue")}


def rescued(spec: ServerSpec, server: Data) -> ServerSpec:
    """The specification of the next boot: that of the rescue system, if it is on."""
    wish = server.get("rescue")
    if not wish:
        return spec
    keys = tuple(wish["keys"])
    return replace(spec, rescue=True, user_data="", ssh_public_keys=keys, root_password=wish["password"])


def reset_password(call: Call) -> Answer:
    """As on Hetzner the machine must run."""
    server = call.target("server")
    require_unlocked(call, server)
    if status(call, server) != "running":
        raise refused("server_not_running", "server must be running to reset the password")
    password = secrets.token_urlsafe(15)
    args = {"server": server["id"], "password": password}
    action = call.act("reset_password", [("server", server["id"])], "reset_password", args)
    return 201, {"action": action, "root_password": password}


def request_console(call: Call) -> Answer:
    """Machines have no screen: nobody answers at that address (`bin/localcloud console` is a shell in the machine)."""
    server = call.target("server")
    require_unlocked(call, server)
    host, token = urlsplit(call.url).netloc, secrets.token_urlsafe(24)
    url = f"wss://{host}/?server_id={server['id']}&token={token}"
    action = _acted(call, server, "request_console")
    return 201, {"action": action, "wss_url": url, "password": secrets.token_urlsafe(9)}


def attach_iso(call: Call) -> Answer:
    """Shown by the API; the machines of the local cloud have no drive to boot from."""
    server = call.target("server")
    architecture = server_type(server["server_type"])["architecture"]
    fitting = [row for row in catalog.isos() if row["architecture"] in (None, architecture)]
    iso = lookup(fitting, "iso", "iso", call.body.get("iso"))
    require_unlocked(call, server)
    server["iso"] = iso["id"]
    return 201, {"action": _acted(call, server, "attach_iso")}


def detach_iso(call: Call) -> Answer:
    server = call.target("server")
    require_unlocked(call, server)
    server["iso"] = None
    return 201, {"action": _acted(call, server, "detach_iso")}


def _set_password(scope: Scope, args: Data) -> None:
    scope.cloud.backend.set_password(args["server"], args["password"])


OPERATIONS = {"reset_password": Operation(work=_set_password)}

ROUTES: list[Route] = [
    ("POST", "/servers/{id}/actions/enable_rescue", enable_rescue),
    ("POST", "/servers/{id}/actions/disable_rescue", disable_rescue),
    ("POST", "/servers/{id}/actions/request_console", request_console),
    ("POST", "/servers/{id}/actions/reset_password", reset_password),
    ("POST", "/servers/{id}/actions/attach_iso", attach_iso),
    ("POST", "/servers/{id}/actions/detach_iso", detach_iso),
]
