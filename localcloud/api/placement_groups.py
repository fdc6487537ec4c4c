"""Placement groups: create, list, read, update, delete. Membership is a field of the server."""

from __future__ import annotations

from localcloud.api.call import Call
from localcloud.api.errors import refused
from localcloud.api.listing import page
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Scope

KIND = "placement_group"
MAX_SERVERS = 10


def view(scope: Scope, data: Data) -> Data:
    """The group as the API shows it, with its servers."""
    return {**data, "servers": [row["id"] for row in scope.all("server") if row["placement_group"] == data["id"]]}


def check_room(scope: Scope, data: Data) -> None:
    """Raises placement_error if the group is full."""
    if len(view(scope, data)["servers"]) >= MAX_SERVERS:
        raise refused("placement_error", f"placement group {data['name']!r} already has {MAX_SERVERS} servers")


def create(call: Call) -> Answer:
    kind, labels = call.choice("type", ("spread",)), call.labels()
    data = call.add(KIND, {"name": call.name(KIND), "labels": labels, "type": kind})
    return 201, {KIND: view(call, data), "action": None}


def index(call: Call) -> Answer:
    return 200, page(call, "placement_groups", [view(call, row) for row in call.all(KIND)], equal=("name", "type"))


def read(call: Call) -> Answer:
    return 200, {KIND: view(call, call.target(KIND))}


def update(call: Call) -> Answer:
    data = call.target(KIND)
    call.update_name_and_labels(KIND, data)
    call.save(KIND, data)
    return 200, {KIND: view(call, data)}


def delete(call: Call) -> Answer:
    data = call.target(KIND)
    if view(call, data)["servers"]:
        raise refused("resource_in_use", "placement group still has servers")
    call.delete(KIND, data)
    return 204, None


ROUTES: list[Route] = [
    ("POST", "/placement_groups", create),
    ("GET", "/placement_groups", index),
    ("GET", "/placement_groups/{id}", read),
    ("PUT", "/placement_groups/{id}", update),
    ("DELETE", "/placement_groups/{id}", delete),
]
