"""Placement groups: create, list, read, update, delete. Membership is a field of the server."""

from __future__ import annotations

from localcloud.api import kinds
from localcloud.api.call import Call
from localcloud.api.errors import refused
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Scope

KIND = "placement_group"
MAX_SERVERS = 10


def view(scope: Scope, data: Data) -> Data:
    """The group as the API shows it, with its servers."""
    return {**data, "servers": [row["id"] for row in scope.look("server") if row["placement_group"] == data["id"]]}


def check_room(scope: Scope, data: Data) -> None:
    """Raises placement_error if the group is full."""
    if len(view(scope, data)["servers"]) >= MAX_SERVERS:
        raise refused("placement_error", f"placement group {data['name']!r} already has {MAX_SERVERS} servers")


def create(call: Call) -> Answer:
    kind, labels = call.choice("type", ("spread",)), call.labels()
    data = call.add(KIND, {"name": call.name(KIND), "labels": labels, "type": kind})
    return 201, {KIND: view(call, data), "action": None}


def delete(call: Call) -> Answer:
    data = call.target(KIND)
    if view(call, data)["servers"]:
        raise refused("resource_in_use", "placement group still has servers")
    call.delete(KIND, data)
    return 204, None


ROUTES: list[Route] = [
    ("POST", "/placement_groups", create),
    *kinds.routes(KIND, view, equal=("name", "type")),
    ("DELETE", "/placement_groups/{id}", delete),
]
