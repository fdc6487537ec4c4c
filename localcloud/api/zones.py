"""DNS zones: create, list, read, update, delete, default TTL, nameservers, protection, zone files.

A zone is found by its id or its name. Its record sets are a field of it (localcloud.api.rrsets works on them).
"""

from __future__ import annotations

import ipaddress

from localcloud import zonefile
from localcloud.api import rrsets
from localcloud.api.call import Call
from localcloud.api.errors import ApiError, invalid
from localcloud.api.listing import page
from localcloud.api.routes import Answer, Route
from localcloud.api.rrsets import KIND, require_mode, zone_of
from localcloud.store import Data

TSIG = ("hmac-md5", "hmac-sha1", "hmac-sha256")
MAX_NAMESERVERS = 10
MAX_ZONEFILE = 1024 * 1024  # bytes


def view(data: Data) -> Data:
    """The zone as the API shows it. Nobody delegates to the local cloud, so the delegation is unknown."""
    shown = {key: value for key, value in data.items() if key != "rrsets"}
    nameservers = {
        "assigned": list(zonefile.NAMESERVERS) if data["mode"] == "primary" else [],
        "delegated": [],
        "delegation_last_check": data["created"],
        "delegation_status": "unknown",
    }
    count = sum(len(row["records"]) for row in data["rrsets"])
    rest = {"status": "ok", "record_count": count, "registrar": "unknown"}
    return {**shown, **rest, "authoritative_nameservers": nameservers}


def _nameservers(call: Call) -> list[Data]:
    rows, wishes = [], call.items("primary_nameservers")
    if not 1 <= len(wishes) <= MAX_NAMESERVERS:
        raise invalid("primary_nameservers", f"a secondary zone needs 1 to {MAX_NAMESERVERS} of them")
    for number, wish in enumerate(wishes):
        field = f"primary_nameservers.{number}"
        if not isinstance(wish, dict):
            raise invalid(field, "must be an object")
        try:
            address = str(ipaddress.ip_address(wish.get("address")))  # type: ignore[arg-type]
        except ValueError:
            raise invalid(f"{field}.address", "must be an IP address") from None
        port, algorithm, key = wish.get("port") or 53, wish.get("tsig_algorithm"), wish.get("tsig_key")
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            raise invalid(f"{field}.port", "must be a port")
        if (algorithm is None) != (key is None) or algorithm not in (None, *TSIG):
            raise invalid(f"{field}.tsig_algorithm", f"needs a tsig_key, and is one of {', '.join(TSIG)}")
        rows.append({"address": address, "port": port, "tsig_algorithm": algorithm, "tsig_key": key})
    return rows


def _ttl(call: Call) -> int:
    return call.number("ttl", zonefile.MIN_TTL, zonefile.MAX_TTL)


def _imported(call: Call, name: str, ttl: int, before: list[Data]) -> list[Data]:
    """The record sets after an import: those of the file, the SOA there was, nameservers where the file has none."""
    try:
        rows = zonefile.parse(name, call.text("zonefile", max_length=MAX_ZONEFILE) or "", ttl)
    except ValueError as error:
        raise invalid("zonefile", str(error)) from None
    if not any((row["name"], row["type"]) == ("@", "NS") for row in rows):
        rows += [row for row in before if (row["name"], row["type"]) == ("@", "NS")]
    return rows + [row for row in before if row["type"] == "SOA"]


def create(call: Call) -> Answer:
    """A primary zone begins with SOA and NS records, and those of `rrsets` or `zonefile`."""
    mode, labels = call.choice("mode", ("primary", "secondary")), call.labels()
    name = call.body.get("name")
    if not isinstance(name, str) or not zonefile.ZONE_NAME.fullmatch(name):
        raise invalid("name", f"{name!r} is no domain name in lower case without a dot at its end")
    ttl = _ttl(call) if "ttl" in call.body else zonefile.DEFAULT_TTL
    rows, servers = (zonefile.initial(), []) if mode == "primary" else ([], _nameservers(call))
    unfit = ("primary_nameservers",) if mode == "primary" else ("rrsets", "zonefile")
    for key in unfit:
        if call.body.get(key):
            raise invalid(key, f"is not for a {mode} zone")
    if call.body.get("rrsets") and call.body.get("zonefile"):
        raise invalid("zonefile", "only one of rrsets and zonefile can be given")
    if call.body.get("zonefile"):
        rows = _imported(call, name, ttl, rows)
    for number, wish in enumerate(call.items("rrsets")):
        rows = rrsets.added(name, rows, wish, f"rrsets.{number}")
    call.check_name_free(KIND, name)
    data = call.add(KIND, {
        "name": name, "mode": mode, "ttl": ttl, "labels": labels, "protection": {"delete": False},
        "primary_nameservers": servers, "rrsets": rows,
    })  # fmt: skip
    return 201, {KIND: view(data), "action": call.acted("create_zone", [(KIND, data["id"])])}


def index(call: Call) -> Answer:
    return 200, page(call, "zones", [view(row) for row in call.all(KIND)], equal=("name", "mode"))


def read(call: Call) -> Answer:
    return 200, {KIND: view(zone_of(call))}


def update(call: Call) -> Answer:
    """Only the labels: a zone keeps its name."""
    data = zone_of(call)
    if "labels" in call.body:
        data["labels"] = call.labels()
    call.save(KIND, data)
    return 200, {KIND: view(data)}


def delete(call: Call) -> Answer:
    data = zone_of(call)
    call.check_unprotected(KIND, data)
    call.delete(KIND, data)
    return 201, {"action": call.acted("delete_zone", [(KIND, data["id"])])}


def export_zonefile(call: Call) -> Answer:
    data = zone_of(call)
    require_mode(data, "primary")
    return 200, {"zonefile": zonefile.write(data["name"], data["ttl"], data["rrsets"])}


def import_zonefile(call: Call) -> Answer:
    """Replaces all record sets; none of them may be protected."""
    data = zone_of(call)
    require_mode(data, "primary")
    rows = _imported(call, data["name"], data["ttl"], data["rrsets"])
    if any(row["protection"]["change"] for row in data["rrsets"]):
        raise ApiError(423, "protected", "a record set of the zone is protected")
    data["rrsets"] = rows
    return rrsets.acted(call, data, "import_zonefile")


def change_ttl(call: Call) -> Answer:
    data = zone_of(call)
    require_mode(data, "primary")
    data["ttl"] = _ttl(call)
    return rrsets.acted(call, data, "change_ttl")


def change_primary_nameservers(call: Call) -> Answer:
    data = zone_of(call)
    require_mode(data, "secondary")
    data["primary_nameservers"] = _nameservers(call)
    return rrsets.acted(call, data, "change_primary_nameservers")


def change_protection(call: Call) -> Answer:
    return 201, call.protect(KIND, zone_of(call))


ROUTES: list[Route] = [
    ("POST", "/zones", create),
    ("GET", "/zones", index),
    ("GET", "/zones/{zone:str}", read),
    ("PUT", "/zones/{zone:str}", update),
    ("DELETE", "/zones/{zone:str}", delete),
    ("GET", "/zones/{zone:str}/zonefile", export_zonefile),
    ("POST", "/zones/{zone:str}/actions/import_zonefile", import_zonefile),
    ("POST", "/zones/{zone:str}/actions/change_ttl", change_ttl),
    ("POST", "/zones/{zone:str}/actions/change_primary_nameservers", change_primary_nameservers),
    ("POST", "/zones/{zone:str}/actions/change_protection", change_protection),
    *rrsets.ROUTES,
]
