"""The record sets of a DNS zone: create, list, read, update, delete, and the actions on their records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud import labels as label_rules
from localcloud import zonefile
from localcloud.api.call import Call
from localcloud.api.errors import ApiError, invalid, not_found, refused, taken
from localcloud.api.listing import page
from localcloud.api.routes import Answer, Route
from localcloud.store import Data

KIND = "zone"
MAX_RECORDS = 100  # of one record set
PATH = "/zones/{zone:str}/rrsets/{name:str}/{type:str}"


def zone_of(call: Call) -> Data:
    """The zone that the path names by id or name, or 404."""
    return call.reference(KIND, "zone", call.path["zone"])


def require_mode(data: Data, mode: str) -> None:
    """Raises incorrect_zone_mode unless the zone is in that mode."""
    if data["mode"] != mode:
        raise refused("incorrect_zone_mode", f"the zone is in {data['mode']} mode, this is for {mode} zones")


def acted(call: Call, data: Data, command: str) -> Answer:
    """Save a changed zone, with a new serial, and answer with the action."""
    zonefile.next_serial(data["rrsets"])
    call.save(KIND, data)
    return 201, {"action": call.acted(command, [(KIND, data["id"])])}


def view(data: Data, row: Data) -> Data:
    """A record set as the API shows it."""
    return {"id": f"{row['name']}/{row['type']}", **row, "zone": data["id"]}


def _find(rows: list[Data], name: str, kind: str) -> Data | None:
    return next((row for row in rows if (row["name"], row["type"]) == (name, kind)), None)


def _target(call: Call, *, change: bool = True) -> tuple[Data, Data]:
    """The zone and the record set of the path, or 404; to be changed it must be unprotected, in a primary zone."""
    data, name, kind = zone_of(call), call.path["name"], call.path["type"]
    row = _find(data["rrsets"], name, kind)
    if row is None:
        raise not_found("rrset", f"{name}/{kind}")
    if change:
        require_mode(data, "primary")
        if row["protection"]["change"]:
            raise ApiError(423, "protected", "rrset is protected")
    return data, row


def _records(kind: str, wishes: Any, field: str) -> list[Data]:
    """The records of a body. Raises invalid_input for a bad value, or one that is there twice."""
    if not isinstance(wishes, list) or not 1 <= len(wishes) <= MAX_RECORDS:
        raise invalid(field, f"must be a list of 1 to {MAX_RECORDS} records")
    rows: list[Data] = []
    for number, wish in enumerate(wishes):
        value, comment = (wish.get("value"), wish.get("comment") or "") if isinstance(wish, dict) else (None, "")
        if not isinstance(value, str):
            raise invalid(f"{field}.{number}.value", "must be a string")
        if not isinstance(comment, str) or len(comment) > 255 or "\n" in comment:
            raise invalid(f"{field}.{number}.comment", "must be one line of at most 255 characters")
        try:
            zonefile.check_value(kind, value)
        except ValueError as error:
            raise invalid(f"{field}.{number}.value", str(error)) from None
        if any(row["value"] == value for row in rows):
            raise invalid(f"{field}.{number}.value", f"{value!r} is there twice")
        rows.append({"value": value, "comment": comment})
    return rows


def _ttl(wish: Data) -> int | None:
    ttl = wish.get("ttl")
    if ttl is None:
        return None
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not zonefile.MIN_TTL <= ttl <= zonefile.MAX_TTL:
        raise invalid("ttl", f"must be a number of seconds from {zonefile.MIN_TTL} to {zonefile.MAX_TTL}, or null")
    return ttl


def _together(rows: list[Data]) -> list[Data]:
    try:
        zonefile.check_together(rows)
    except ValueError as error:
        raise invalid("type", str(error)) from None
    return rows


def added(zone: str, rows: list[Data], wish: Any, field: str = "") -> list[Data]:
    """A zone's record sets and a new one made of a body. Raises what is wrong with it."""
    prefix = f"{field}." if field else ""
    if not isinstance(wish, dict):
        raise invalid(field, "must be an object")
    name, kind = wish.get("name"), wish.get("type")
    if kind not in zonefile.TYPES:
        raise invalid(f"{prefix}type", f"must be one of {', '.join(zonefile.TYPES)}")
    try:
        zonefile.check_owner(zone, name if isinstance(name, str) else "")
    except ValueError as error:
        raise invalid(f"{prefix}name", str(error)) from None
    if problem := label_rules.problem(wish.get("labels") or {}):
        raise invalid(f"{prefix}labels", problem)
    records = _records(kind, wish.get("records"), f"{prefix}records")
    if _find(rows, str(name), kind):
        raise taken(f"rrset {name}/{kind} already exists")
    if kind == "SOA":
        raise invalid(f"{prefix}type", "the SOA record is made with the zone")
    new = {**zonefile.rrset(str(name), kind, []), "ttl": _ttl(wish), "labels": wish.get("labels") or {}}
    return _together([*rows, {**new, "records": records}])


def create(call: Call) -> Answer:
    data = zone_of(call)
    require_mode(data, "primary")
    data["rrsets"] = added(data["name"], data["rrsets"], call.body)
    status, answer = acted(call, data, "create_rrset")
    return status, {"rrset": view(data, data["rrsets"][-1]), **(answer or {})}


def index(call: Call) -> Answer:
    data = zone_of(call)
    rows = sorted((view(data, row) for row in data["rrsets"]), key=lambda row: str(row["id"]))
    return 200, page(call, "rrsets", rows, equal=("name", "type"), sort=("id", "name", "type"))


def read(call: Call) -> Answer:
    return 200, {"rrset": view(*_target(call, change=False))}


def update(call: Call) -> Answer:
    """Only the labels."""
    data, row = _target(call, change=False)
    require_mode(data, "primary")
    if "labels" in call.body:
        row["labels"] = call.labels()
    call.save(KIND, data)
    return 200, {"rrset": view(data, row)}


def delete(call: Call) -> Answer:
    data, row = _target(call)
    if row["type"] == "SOA":
        raise refused("unsupported_error", "the SOA record goes with its zone")
    data["rrsets"].remove(row)
    return acted(call, data, "delete_rrset")


def change_protection(call: Call) -> Answer:
    data, row = _target(call, change=False)
    require_mode(data, "primary")
    row["protection"]["change"] = call.flag("change", row["protection"]["change"])
    return acted(call, data, "change_rrset_protection")


def change_ttl(call: Call) -> Answer:
    """Null: the zone's default holds."""
    data, row = _target(call)
    row["ttl"] = _ttl(call.body)
    return acted(call, data, "change_rrset_ttl")


def set_records(call: Call) -> Answer:
    data, row = _target(call)
    row["records"] = _records(row["type"], call.body.get("records"), "records")
    _together(data["rrsets"])
    return acted(call, data, "set_rrset_records")


def add_records(call: Call) -> Answer:
    """Makes the record set if there is none."""
    data, name, kind = zone_of(call), call.path["name"], call.path["type"]
    if _find(data["rrsets"], name, kind) is None:
        require_mode(data, "primary")
        data["rrsets"] = added(data["name"], data["rrsets"], {**call.body, "name": name, "type": kind, "labels": {}})
        return acted(call, data, "add_rrset_records")
    data, row = _target(call)
    new = _records(kind, call.body.get("records"), "records")
    for record in new:
        if any(record["value"] == old["value"] for old in row["records"]):
            raise taken(f"record {record['value']!r} already exists", "records")
    if "ttl" in call.body and _ttl(call.body) != row["ttl"]:
        raise invalid("ttl", f"the rrset exists already, with the ttl {row['ttl']}")
    row["records"] += new
    _together(data["rrsets"])
    return acted(call, data, "add_rrset_records")


def _named(call: Call, row: Data) -> list[tuple[Data, Data]]:
    """(record there is, record of the body) for each record of the body, or 404."""
    pairs = []
    for record in _records(row["type"], call.body.get("records"), "records"):
        old = next((old for old in row["records"] if old["value"] == record["value"]), None)
        if old is None:
            raise not_found("record", record["value"])
        pairs.append((old, record))
    return pairs


def update_records(call: Call) -> Answer:
    """Change the comments of records, which their values name."""
    data, row = _target(call)
    for old, new in _named(call, row):
        old["comment"] = new["comment"]
    return acted(call, data, "update_rrset_records")


def remove_records(call: Call) -> Answer:
    """The record set goes with its last record."""
    data, row = _target(call)
    if row["type"] == "SOA":
        raise refused("unsupported_error", "the SOA record goes with its zone")
    for old, _ in _named(call, row):
        row["records"].remove(old)
    if not row["records"]:
        data["rrsets"].remove(row)
    return acted(call, data, "remove_rrset_records")


ACTIONS: list[Callable[[Call], Answer]] = [
    change_protection, change_ttl, set_records, add_records, update_records, remove_records,
]  # fmt: skip
ROUTES: list[Route] = [
    ("POST", "/zones/{zone:str}/rrsets", create),
    ("GET", "/zones/{zone:str}/rrsets", index),
    ("GET", PATH, read),
    ("PUT", PATH, update),
    ("DELETE", PATH, delete),
    *[("POST", f"{PATH}/actions/{answer.__name__}", answer) for answer in ACTIONS],
]
