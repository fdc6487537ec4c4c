"""Storage boxes: the API alone, as nobody serves SMB, SSH or WebDAV behind it. What is in them is storage_parts.

On Hetzner they have an endpoint of their own (api.hetzner.com); here it is the same as for the rest. Passwords are
checked and not kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud import catalog
from localcloud.api import kinds, ssh_keys
from localcloud.api.call import Call
from localcloud.api.catalogue import lookup
from localcloud.api.errors import invalid
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Scope

KIND = "storage_box"
PARTS = ("storage_box_snapshot", "storage_box_subaccount")
SETTINGS = ("reachable_externally", "samba_enabled", "ssh_enabled", "webdav_enabled", "zfs_enabled")
SPECIAL = set("^°!§$%/()=?+#-.,;:~*@{}_&")
LETTERS = set("abcdefghijklmnopqrstuvwxyzäöüß")
FIRST_USER = 100_000


def view(scope: Scope, data: Data) -> Data:
    """The storage box as the API shows it."""
    places, sizes = catalog.locations(), type_of(data)
    return {
        **data,
        "storage_box_type": sizes,
        "location": next(row for row in places if row["name"] == data["location"]),
        "stats": {"size": 0, "size_data": 0, "size_snapshots": 0},
        "status": "active",
    }


def type_of(data: Data) -> Data:
    """The storage box's type."""
    return next(row for row in catalog.storage_box_types() if row["name"] == data["storage_box_type"])


def check_password(call: Call) -> None:
    """Raises invalid_input unless `password` is 12 to 128 characters of all four sorts."""
    text = call.text("password", max_length=128) or ""
    sorts = [text.lower() != text, text.upper() != text, any(c.isdigit() for c in text), bool(SPECIAL & set(text))]
    known = all(c.lower() in LETTERS or c.isdigit() or c in SPECIAL for c in text)
    if len(text) < 12 or not all(sorts) or not known:
        raise invalid("password", "must be 12 to 128 characters with upper and lower case, a digit and a special one")


def settings(wish: Any, before: Data) -> Data:
    """Access settings after a change: what is not named stays. Raises invalid_input."""
    if not isinstance(wish, dict):
        raise invalid("access_settings", "must be an object")
    for key in before:
        if not isinstance(wish.get(key, False), bool | None):
            raise invalid(f"access_settings.{key}", "must be true or false")
    return {key: value if wish.get(key) is None else wish[key] for key, value in before.items()}


def _type(call: Call) -> Data:
    rows = catalog.storage_box_types()
    return lookup(rows, "storage box type", "storage_box_type", call.body.get("storage_box_type"))


def create(call: Call) -> Answer:
    size, labels = _type(call), call.labels()
    offered = [row["location"] for row in size["prices"]]
    places = [row for row in catalog.locations() if row["name"] in offered]
    place = lookup(places, "location", "location", call.body.get("location"))["name"]
    check_password(call)
    access = settings(call.body.get("access_settings", {}), dict.fromkeys(SETTINGS, False))
    for key in call.items("ssh_keys"):
        try:
            ssh_keys.fingerprint(key if isinstance(key, str) else "")
        except ValueError as error:
            raise invalid("ssh_keys", str(error)) from None
    name = call.name(KIND)
    new_id = call.cloud.store.next_id()
    user = f"u{FIRST_USER + new_id}"
    data = call.add(KIND, {
        "id": new_id, "name": name, "labels": labels, "storage_box_type": size["name"], "location": place,
        "username": user, "server": f"{user}.your-storagebox.de", "system": f"{place.upper()}-BX1",
        "access_settings": access, "snapshot_plan": None, "protection": {"delete": False},
    })  # fmt: skip
    return 201, {KIND: view(call, data), "action": call.acted("create_storage_box", [(KIND, new_id)])}


def delete(call: Call) -> Answer:
    """Its snapshots and subaccounts go with it."""
    data = call.target(KIND)
    call.check_unprotected(KIND, data)
    for kind in PARTS:
        for row in call.all(kind):
            if row["storage_box"] == data["id"]:
                call.delete(kind, row)
    call.delete(KIND, data)
    return 200, {"action": call.acted("delete_storage_box", [(KIND, data["id"])])}


def folders(call: Call) -> Answer:
    """Nothing is ever written to a box."""
    call.target(KIND)
    return 200, {"folders": []}


def _acted(call: Call, data: Data, command: str) -> Answer:
    call.save(KIND, data)
    return 201, {"action": call.acted(command, [(KIND, data["id"])])}


def change_protection(call: Call) -> Answer:
    return 201, call.protect(KIND, call.target(KIND))


def change_type(call: Call) -> Answer:
    data = call.target(KIND)
    data["storage_box_type"] = _type(call)["name"]
    return _acted(call, data, "change_type")


def reset_password(call: Call) -> Answer:
    data = call.target(KIND)
    check_password(call)
    return _acted(call, data, "reset_password")


def update_access_settings(call: Call) -> Answer:
    data = call.target(KIND)
    data["access_settings"] = settings(call.body, data["access_settings"])
    return _acted(call, data, "update_access_settings")


def enable_snapshot_plan(call: Call) -> Answer:
    """Kept and shown; no snapshots are made by the clock."""
    data = call.target(KIND)
    plan: Data = {
        "max_snapshots": call.number("max_snapshots", 1, type_of(data)["automatic_snapshot_limit"]),
        "minute": call.number("minute", 0, 59),
        "hour": call.number("hour", 0, 23),
        "day_of_week": call.number("day_of_week", 1, 7) if "day_of_week" in call.body else None,
        "day_of_month": call.number("day_of_month", 1, 31) if "day_of_month" in call.body else None,
    }
    if plan["day_of_week"] and plan["day_of_month"]:
        raise invalid("day_of_month", "only one of day_of_week and day_of_month can be given")
    data["snapshot_plan"] = plan
    return _acted(call, data, "enable_snapshot_plan")


def disable_snapshot_plan(call: Call) -> Answer:
    data = call.target(KIND)
    data["snapshot_plan"] = None
    return _acted(call, data, "disable_snapshot_plan")


ACTIONS: list[Callable[[Call], Answer]] = [
    change_protection, change_type, reset_password, update_access_settings, enable_snapshot_plan, disable_snapshot_plan,
]  # fmt: skip
ROUTES: list[Route] = [
    ("POST", "/storage_boxes", create),
    *kinds.routes(KIND, view),
    ("DELETE", "/storage_boxes/{id}", delete),
    ("GET", "/storage_boxes/{id}/folders", folders),
    *[("POST", f"/storage_boxes/{{id}}/actions/{answer.__name__}", answer) for answer in ACTIONS],
]
