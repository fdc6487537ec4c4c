"""Images: the system images of the catalogue, and the project's snapshots and backups."""

from __future__ import annotations

from localcloud import catalog
from localcloud.api.call import Call
from localcloud.api.catalogue import lookup, truth
from localcloud.api.errors import invalid, not_found, refused
from localcloud.api.listing import page
from localcloud.api.routes import Answer, Route
from localcloud.api.server_state import require_unlocked, server_type
from localcloud.store import Data
from localcloud.worker import Operation, Resource, Scope

KIND = "image"


def every(scope: Scope) -> list[Data]:
    """System images first (x86 before arm), then the project's own."""
    return [*catalog.images(), *scope.all(KIND)]


def image_for(call: Call, architecture: str, disk_gb: int) -> Data:
    """The image a body names, for a server of that architecture and disk.

    Raises invalid_input when it does not fit, resource_unavailable if machines can't be made from it.
    """
    value, rows = call.body.get("image"), every(call)
    by_name = isinstance(value, str) and not value.isdecimal()
    fitting = [row for row in rows if row["architecture"] == architecture] if by_name else rows
    image = lookup(fitting, KIND, "image", value)
    if image["architecture"] != architecture:
        raise invalid("image", f"its architecture is {image['architecture']}, of the server type {architecture}")
    if image["status"] != "available":
        raise refused("resource_unavailable", f"image {image['id']} is {image['status']}", 412)
    if image["type"] != "system":
        if image["disk_size"] > disk_gb:
            raise invalid("image", f"was made from a disk of {image['disk_size']:g} GB, the server has {disk_gb} GB")
    elif architecture != "x86" or not call.cloud.backend.supports_image(image["name"]):
        text = f"image {image['name']!r} ({architecture}) is not available in the local cloud"
        raise refused("resource_unavailable", text, 412)
    return image


def index(call: Call) -> Answer:
    rows = every(call)
    if not truth(call, "include_deprecated"):
        rows = [row for row in rows if row["deprecated"] is None]
    if wanted := call.query.get("bound_to"):
        rows = [row for row in rows if str(row["bound_to"]) in wanted]
    return 200, page(call, "images", rows, equal=("name", "type", "status", "architecture"))


def find(call: Call) -> Data:
    """The image the path names, or 404."""
    for row in every(call):
        if row["id"] == call.path["id"]:
            return row
    raise not_found(KIND, call.path["id"])


def _own(call: Call) -> Data:
    """The snapshot or backup the path names; 403 for a system image."""
    data = find(call)
    if data["type"] == "system":
        raise refused("forbidden", "system images can't be changed", 403)
    return data


def read(call: Call) -> Answer:
    return 200, {KIND: find(call)}


def update(call: Call) -> Answer:
    data = _own(call)
    if "labels" in call.body:
        data["labels"] = call.labels()
    if "description" in call.body:
        data["description"] = call.required("description")
    if "type" in call.body:  # a backup becomes a snapshot, which outlives its server
        call.choice("type", ("snapshot",))
        data.update(type="snapshot", bound_to=None)
    call.save(KIND, data)
    return 200, {KIND: data}


def delete(call: Call) -> Answer:
    data = _own(call)
    call.check_unprotected(KIND, data)
    remove(call, data)
    return 204, None


def remove(scope: Scope, data: Data) -> None:
    """Forget a snapshot or backup, and queue the removal of its disk."""
    scope.delete(KIND, data)
    scope.act("delete_image", [(KIND, data["id"])], "delete_image", {"image": data["id"]}, hidden=True)


def change_protection(call: Call) -> Answer:
    return 201, call.protect(KIND, _own(call))


def create_image(call: Call) -> Answer:
    """A snapshot or a backup of the server's disk as it is when the action runs."""
    server = call.target("server")
    kind, labels = call.choice("type", ("snapshot", "backup"), "snapshot"), call.labels()
    description = call.text("description", required=False)
    if kind == "backup" and server["backup_window"] is None:
        raise invalid("type", "backups are not enabled for this server")
    require_unlocked(call, server)
    like = server["image"]
    data = call.add(KIND, {
        "name": None, "type": kind, "status": "creating", "description": description or f"{kind} of {server['name']}",
        "image_size": None, "disk_size": float(server["primary_disk_size"]),
        "created_from": {"id": server["id"], "name": server["name"]},
        "bound_to": server["id"] if kind == "backup" else None,
        "os_flavor": like["os_flavor"], "os_version": like["os_version"],
        "architecture": server_type(server["server_type"])["architecture"], "rapid_deploy": False,
        "protection": {"delete": False}, "deprecated": None, "deprecation": None, "deleted": None, "labels": labels,
    })  # fmt: skip
    resources: list[Resource] = [("server", server["id"]), (KIND, data["id"])]
    args = {"server": server["id"], "image": data["id"]}
    return 201, {"action": call.act("create_image", resources, "create_image", args), KIND: data}


def _work(scope: Scope, args: Data) -> None:
    if scope.get(KIND, args["image"]):
        scope.cloud.backend.create_image(args["image"], args["server"])


def _done(scope: Scope, args: Data) -> None:
    if data := scope.get(KIND, args["image"]):
        size = scope.cloud.backend.image_size(args["image"])
        scope.save(KIND, {**data, "status": "available", "image_size": size})


def _failed(scope: Scope, args: Data) -> None:
    if data := scope.get(KIND, args["image"]):
        remove(scope, data)


OPERATIONS = {
    "create_image": Operation(work=_work, done=_done, failed=_failed),
    "delete_image": Operation(work=lambda scope, args: scope.cloud.backend.delete_image(args["image"])),
}

ROUTES: list[Route] = [
    ("GET", "/images", index),
    ("GET", "/images/{id}", read),
    ("PUT", "/images/{id}", update),
    ("DELETE", "/images/{id}", delete),
    ("POST", "/images/{id}/actions/change_protection", change_protection),
    ("POST", "/servers/{id}/actions/create_image", create_image),
]
