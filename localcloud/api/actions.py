"""Actions: of the project, of a kind, of an object. They outlive their objects."""

from __future__ import annotations

from localcloud.api import images
from localcloud.api.call import Call
from localcloud.api.errors import ApiError, not_found
from localcloud.api.listing import page
from localcloud.api.routes import Answer, Handler, Route
from localcloud.api.rrsets import zone_of
from localcloud.store import Data

SORT = ("id", "command", "status", "started", "finished")
# path -> resource type; ssh_keys and placement_groups have no actions
KINDS = {
    "servers": "server",
    "volumes": "volume",
    "networks": "network",
    "firewalls": "firewall",
    "primary_ips": "primary_ip",
    "images": "image",
    "floating_ips": "floating_ip",
    "certificates": "certificate",
    "load_balancers": "load_balancer",
    "storage_boxes": "storage_box",
    "zones": "zone",
}


def _list(call: Call, rows: list[Data]) -> Answer:
    return 200, page(call, "actions", rows, equal=("id", "status"), sort=SORT)


def index(call: Call) -> Answer:
    """How hcloud-go waits: exactly the asked ids come back."""
    if not call.query.get("id"):
        text = "Listing actions of a project is no longer possible, except for a list of ids."
        raise ApiError(410, "deprecated_api_endpoint", text, {"announcement": text})
    ids = [int(text) for text in call.query["id"] if text.isdecimal()]
    found = [call.cloud.store.action(call.project, action_id) for action_id in sorted(set(ids))]
    call.query.setdefault("per_page", ["50"])
    return _list(call, [action for action in found if action])


def _read(call: Call, kind: str | None = None, wanted: int | None = None) -> Answer:
    action_id = call.path["action"]
    action = call.cloud.store.action(call.project, action_id)
    resources = action["resources"] if action else []
    fits = kind is None or any(r["type"] == kind and wanted in (None, r["id"]) for r in resources)
    if action is None or not fits:
        raise not_found("action", action_id)
    return 200, {"action": action}


def _object(call: Call, kind: str) -> int:
    """The id of the object in the path, or 404."""
    if kind == "zone":
        return int(zone_of(call)["id"])
    if kind == "image":
        return int(images.find(call)["id"])
    return int(call.target(kind)["id"])


def _of_kind(kind: str) -> Handler:
    return lambda call: _list(call, call.cloud.store.actions(call.project, kind=kind))


def _of_object(kind: str) -> Handler:
    return lambda call: _list(call, call.cloud.store.actions(call.project, kind=kind, resource=_object(call, kind)))


def _one(kind: str | None) -> Handler:
    return lambda call: _read(call, kind)


def _one_of_object(kind: str) -> Handler:
    return lambda call: _read(call, kind, _object(call, kind))


ROUTES: list[Route] = [("GET", "/actions", index), ("GET", "/actions/{action}", _one(None))]
for _path, _kind in KINDS.items():
    _one_path = f"/{_path}/{{zone:str}}" if _kind == "zone" else f"/{_path}/{{id}}"
    ROUTES += [
        ("GET", f"/{_path}/actions", _of_kind(_kind)),
        ("GET", f"/{_path}/actions/{{action}}", _one(_kind)),
        ("GET", f"{_one_path}/actions", _of_object(_kind)),
        ("GET", f"{_one_path}/actions/{{action}}", _one_of_object(_kind)),
    ]
