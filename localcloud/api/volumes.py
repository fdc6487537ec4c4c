"""Volumes: create, list, read, update, delete, attach, detach, resize. The attachment is a field of the volume."""

from __future__ import annotations

import re

from localcloud import catalog
from localcloud.api import kinds
from localcloud.api.call import Call
from localcloud.api.catalogue import lookup
from localcloud.api.errors import invalid, limit, locked, refused
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Operation, Scope

KIND = "volume"
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
MIN_GB, MAX_GB, MAX_PER_SERVER = 10, 10240, 16


def view(data: Data) -> Data:
    """The volume as the API shows it."""
    location = next(row for row in catalog.locations() if row["name"] == data["location"])
    return {**data, "location": location, "linux_device": f"/dev/disk/by-id/scsi-0HC_Volume_{data['id']}"}


def check_attachable(call: Call, data: Data, server: Data) -> None:
    """Raises what is in the way of attaching the volume to the server."""
    if data["server"] is not None:
        raise refused("volume_already_attached", f"volume is already attached to server {data['server']}")
    if data["location"] != server["location"]:
        raise invalid("server", f"volume is in {data['location']}, server in {server['location']}")
    if server["state"] == "deleting":
        raise locked("server")
    if sum(row["server"] == server["id"] for row in call.all(KIND)) >= MAX_PER_SERVER:
        raise limit("volumes_per_server")


def attach_action(call: Call, data: Data, server: Data, automount: bool) -> Data:
    """Attach (from now on the volume is taken) and return the running attach_volume action."""
    data["server"] = server["id"]
    call.save(KIND, data)
    args = {"volume": data["id"], "server": server["id"], "automount": automount}
    return call.act("attach_volume", [("server", server["id"]), (KIND, data["id"])], "attach_volume", args)


def create(call: Call) -> Answer:
    size, labels, automount = call.number("size", MIN_GB, MAX_GB), call.labels(), call.flag("automount")
    fmt = call.choice("format", ("ext4", "xfs")) if "format" in call.body else None
    if ("location" in call.body) == ("server" in call.body):
        raise invalid("location", "exactly one of location and server must be given")
    server = call.find("server", call.object_id("server")) if "server" in call.body else None
    place = server["location"] if server else call.body["location"]
    place = lookup(catalog.locations(), "location", "location", place)["name"]
    fields = {"size": size, "server": None, "location": place, "status": "creating", "format": fmt}
    new = {**fields, "protection": {"delete": False}, "labels": labels}
    if server:
        check_attachable(call, new, server)
    data = call.add(KIND, {"name": call.name(KIND, NAME), **new})
    action = call.act("create_volume", [(KIND, data["id"])], "create_volume", {"volume": data["id"]})
    following = [attach_action(call, data, server, automount)] if server else []
    return 201, {KIND: view(data), "action": action, "next_actions": following}


def delete(call: Call) -> Answer:
    data = call.target(KIND)
    call.check_unprotected(KIND, data)
    if data["server"] is not None:
        raise refused("service_error", "volume is attached to a server, detach it first")
    call.delete(KIND, data)
    call.act("delete_volume", [(KIND, data["id"])], "delete_volume", {"volume": data["id"]}, hidden=True)
    return 204, None


def attach(call: Call) -> Answer:
    data, automount = call.target(KIND), call.flag("automount")
    server = call.find("server", call.object_id("server"))
    check_attachable(call, data, server)
    return 201, {"action": attach_action(call, data, server, automount)}


def detach(call: Call) -> Answer:
    data = call.target(KIND)
    if data["server"] is None:
        raise refused("service_error", "volume is not attached to a server")
    resources = [("server", data["server"]), (KIND, data["id"])]
    args = {"volume": data["id"], "server": data["server"]}
    return 201, {"action": call.act("detach_volume", resources, "detach_volume", args)}


def resize(call: Call) -> Answer:
    data, size = call.target(KIND), call.number("size", MIN_GB, MAX_GB)
    if size < data["size"]:
        raise invalid("size", f"a volume can only grow, it has {data['size']} GB")
    args = {"volume": data["id"], "size": size}
    return 201, {"action": call.act("resize_volume", [(KIND, data["id"])], "resize_volume", args)}


def change_protection(call: Call) -> Answer:
    return 201, call.protect(KIND, call.target(KIND))


def _set(scope: Scope, args: Data, **values: object) -> None:
    if data := scope.get(KIND, args["volume"]):
        scope.save(KIND, {**data, **values})


def _free(scope: Scope, args: Data) -> None:
    """The volume is that server's no more. It may be another's by now: when the detachment had been asked for twice."""
    data = scope.get(KIND, args["volume"])
    if data and data["server"] == args["server"]:
        scope.save(KIND, {**data, "server": None})


def _work_create(scope: Scope, args: Data) -> None:
    data = scope.get(KIND, args["volume"])
    if data:
        scope.cloud.backend.create_volume(data["id"], data["size"], data["format"])


def _work_attach(scope: Scope, args: Data) -> None:
    scope.cloud.backend.attach_volume(args["volume"], args["server"], automount=args["automount"])


def _work_resize(scope: Scope, args: Data) -> None:
    scope.cloud.backend.resize_volume(args["volume"], args["size"])


OPERATIONS = {
    "create_volume": Operation(work=_work_create, done=lambda scope, args: _set(scope, args, status="available")),
    "delete_volume": Operation(work=lambda scope, args: scope.cloud.backend.delete_volume(args["volume"])),
    "attach_volume": Operation(work=_work_attach, failed=_free),
    "detach_volume": Operation(
        work=lambda scope, args: scope.cloud.backend.detach_volume(args["volume"]),
        done=_free,
    ),
    "resize_volume": Operation(work=_work_resize, done=lambda scope, args: _set(scope, args, size=args["size"])),
}

ROUTES: list[Route] = [
    ("POST", "/volumes", create),
    *kinds.routes(KIND, lambda scope, data: view(data), equal=("name", "status"), name=NAME),
    ("DELETE", "/volumes/{id}", delete),
    ("POST", "/volumes/{id}/actions/attach", attach),
    ("POST", "/volumes/{id}/actions/detach", detach),
    ("POST", "/volumes/{id}/actions/resize", resize),
    ("POST", "/volumes/{id}/actions/change_protection", change_protection),
]
