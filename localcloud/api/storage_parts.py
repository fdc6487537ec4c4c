"""Snapshots and subaccounts of storage boxes. Their names are unique in their box, so they are stored with its id."""

from __future__ import annotations

from datetime import UTC, datetime

from localcloud.api.call import Call
from localcloud.api.errors import invalid, limit, not_found, taken
from localcloud.api.listing import page
from localcloud.api.routes import Answer, Handler, Route
from localcloud.api.storage_boxes import KIND, check_password, settings, type_of
from localcloud.store import Data

SNAPSHOT, SUBACCOUNT = "storage_box_snapshot", "storage_box_subaccount"
SHOWN_AS = {SNAPSHOT: "snapshot", SUBACCOUNT: "subaccount"}  # in paths and answers
SETTINGS = ("reachable_externally", "readonly", "samba_enabled", "ssh_enabled", "webdav_enabled")
PATH = "/storage_boxes/{id}"


def _view(data: Data) -> Data:
    return {**data, "name": data["name"].partition(":")[2]}


def _all(call: Call, kind: str) -> list[Data]:
    """Those of the box in the path, or 404."""
    box = call.target(KIND)
    return [row for row in call.all(kind) if row["storage_box"] == box["id"]]


def _one(call: Call, kind: str) -> Data:
    for row in _all(call, kind):
        if row["id"] == call.path["part"]:
            return row
    raise not_found(SHOWN_AS[kind], call.path["part"])


def _add(call: Call, kind: str, name: str, fields: Data, limited: int) -> Answer:
    """Store a part of the box of the path and answer with it. Raises uniqueness_error, resource_limit_exceeded."""
    box, rows = call.target(KIND), _all(call, kind)
    if any(_view(row)["name"] == name for row in rows):
        raise taken()
    if len(rows) >= limited:
        raise limit(kind)
    data = call.add(kind, {"name": f"{box['id']}:{name}", "storage_box": box["id"], "labels": call.labels(), **fields})
    action = call.acted(f"create_{SHOWN_AS[kind]}", [(KIND, box["id"]), (kind, data["id"])])
    return 201, {SHOWN_AS[kind]: _view(data), "action": action}


def create_snapshot(call: Call) -> Answer:
    """Named after the time."""
    box = call.target(KIND)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    names = [_view(row)["name"] for row in _all(call, SNAPSHOT)]
    name = next(text for text in (now, *(f"{now}-{n}" for n in range(2, 100))) if text not in names)
    description = call.text("description", required=False) or ""
    fields = {"description": description, "is_automatic": False, "stats": {"size": 0, "size_filesystem": 0}}
    return _add(call, SNAPSHOT, name, fields, type_of(box)["snapshot_limit"])


def rollback_snapshot(call: Call) -> Answer:
    box, wanted = call.target(KIND), call.body.get("snapshot")
    rows = [row for row in _all(call, SNAPSHOT) if wanted in (row["id"], str(row["id"]), _view(row)["name"])]
    if not rows:
        raise not_found("snapshot", wanted)
    return 201, {"action": call.acted("rollback_snapshot", [(KIND, box["id"]), (SNAPSHOT, rows[0]["id"])])}


def _home(call: Call) -> str:
    home = call.required("home_directory")
    if home.startswith("/") or ".." in home.split("/"):
        raise invalid("home_directory", "must be a path below the box's own directory")
    return home


def create_subaccount(call: Call) -> Answer:
    box, home = call.target(KIND), _home(call)
    check_password(call)
    access = settings(call.body.get("access_settings", {}), dict.fromkeys(SETTINGS, False))
    taken_numbers = [int(row["username"].rpartition("-sub")[2]) for row in _all(call, SUBACCOUNT)]
    user = f"{box['username']}-sub{max(taken_numbers, default=0) + 1}"
    fields: Data = {
        "username": user, "server": f"{user}.your-storagebox.de", "home_directory": home, "access_settings": access,
        "description": call.text("description", required=False) or "",
    }  # fmt: skip
    name = call.text("name", required=False) or user
    return _add(call, SUBACCOUNT, name, fields, type_of(box)["subaccounts_limit"])


def _index(kind: str) -> Handler:
    def answer(call: Call) -> Answer:
        rows = [_view(row) for row in _all(call, kind)]
        return 200, page(call, f"{SHOWN_AS[kind]}s", rows, equal=("name", "username"))

    return answer


def _read(kind: str) -> Handler:
    return lambda call: (200, {SHOWN_AS[kind]: _view(_one(call, kind))})


def _update(kind: str) -> Handler:
    def answer(call: Call) -> Answer:
        data = _one(call, kind)
        if "labels" in call.body:
            data["labels"] = call.labels()
        if "description" in call.body:
            data["description"] = call.text("description", required=False)
        if kind == SUBACCOUNT and (name := call.text("name", required=False)):
            if any(_view(row)["name"] == name and row["id"] != data["id"] for row in _all(call, kind)):
                raise taken()
            data["name"] = f"{data['storage_box']}:{name}"
        call.save(kind, data)
        return 200, {SHOWN_AS[kind]: _view(data)}

    return answer


def _delete(kind: str) -> Handler:
    def answer(call: Call) -> Answer:
        data = _one(call, kind)
        call.delete(kind, data)
        resources = [(KIND, data["storage_box"]), (kind, data["id"])]
        return 200, {"action": call.acted(f"delete_{SHOWN_AS[kind]}", resources)}

    return answer


def _acted(call: Call, data: Data, command: str) -> Answer:
    call.save(SUBACCOUNT, data)
    resources = [(KIND, data["storage_box"]), (SUBACCOUNT, data["id"])]
    return 201, {"action": call.acted(command, resources)}


def change_home_directory(call: Call) -> Answer:
    data = _one(call, SUBACCOUNT)
    data["home_directory"] = _home(call)
    return _acted(call, data, "change_home_directory")


def reset_subaccount_password(call: Call) -> Answer:
    data = _one(call, SUBACCOUNT)
    check_password(call)
    return _acted(call, data, "reset_subaccount_password")


def update_access_settings(call: Call) -> Answer:
    data = _one(call, SUBACCOUNT)
    data["access_settings"] = settings(call.body, data["access_settings"])
    return _acted(call, data, "update_access_settings")


def _routes(kind: str, create: Handler) -> list[Route]:
    path = f"{PATH}/{SHOWN_AS[kind]}s"
    return [
        ("POST", path, create),
        ("GET", path, _index(kind)),
        ("GET", path + "/{part}", _read(kind)),
        ("PUT", path + "/{part}", _update(kind)),
        ("DELETE", path + "/{part}", _delete(kind)),
    ]


ROUTES: list[Route] = [
    *_routes(SNAPSHOT, create_snapshot),
    *_routes(SUBACCOUNT, create_subaccount),
    ("POST", f"{PATH}/actions/rollback_snapshot", rollback_snapshot),
    ("POST", f"{PATH}/subaccounts/{{part}}/actions/change_home_directory", change_home_directory),
    ("POST", f"{PATH}/subaccounts/{{part}}/actions/reset_subaccount_password", reset_subaccount_password),
    ("POST", f"{PATH}/subaccounts/{{part}}/actions/update_access_settings", update_access_settings),
]
