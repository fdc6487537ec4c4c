"""The read-only kinds: locations, datacenters, server types, load balancer types, ISOs, prices."""

from __future__ import annotations

from collections.abc import Callable

from localcloud import catalog
from localcloud.api.call import Call
from localcloud.api.errors import invalid, not_found
from localcloud.api.listing import page
from localcloud.api.routes import Answer, Handler, Route
from localcloud.store import Data


def lookup(rows: list[Data], kind: str, key: str, value: object) -> Data:
    """The row a body refers to by id, numeric string or name. Raises invalid_input for key if there is none."""
    for row in rows:
        if not isinstance(value, bool) and (str(row["id"]) == str(value) or row["name"] == value):
            return row
    raise invalid(key, f"{kind} {value!r} not found")


def _index(key: str, rows: Callable[[], list[Data]], equal: tuple[str, ...] = ("name",)) -> Handler:
    return lambda call: (200, page(call, key, rows(), equal=equal))


def _read(kind: str, rows: Callable[[], list[Data]]) -> Handler:
    def answer(call: Call) -> Answer:
        for row in rows():
            if row["id"] == call.path["id"]:
                return 200, {kind: row}
        raise not_found(kind, call.path["id"])

    return answer


def truth(call: Call, name: str) -> bool:
    """A boolean of the query; hcloud-python writes True."""
    return (call.query.get(name) or [""])[-1].lower() == "true"


def isos(call: Call) -> Answer:
    rows = catalog.isos()
    wanted = call.query.get("architecture")
    if wanted:
        wildcard = truth(call, "include_architecture_wildcard")
        rows = [r for r in rows if r["architecture"] in wanted or (wildcard and r["architecture"] is None)]
    return 200, page(call, "isos", rows, equal=("name",))


def server_types(call: Call) -> Answer:
    return 200, page(call, "server_types", _orderable(call), equal=("name", "architecture"))


def server_type(call: Call) -> Answer:
    return _read("server_type", lambda: _orderable(call))(call)


def _orderable(call: Call) -> list[Data]:
    """All server types, each of their locations with whether it can be ordered there now."""
    sold_out = call.cloud.store.unavailable()
    return [
        {**row, "locations": [{**p, "available": (row["name"], p["name"]) not in sold_out} for p in row["locations"]]}
        for row in catalog.server_types()
    ]


def pricing(call: Call) -> Answer:
    return 200, {"pricing": catalog.pricing()}


ROUTES: list[Route] = [
    ("GET", "/locations", _index("locations", catalog.locations)),
    ("GET", "/locations/{id}", _read("location", catalog.locations)),
    ("GET", "/datacenters", _index("datacenters", catalog.datacenters)),
    ("GET", "/datacenters/{id}", _read("datacenter", catalog.datacenters)),
    ("GET", "/server_types", server_types),
    ("GET", "/server_types/{id}", server_type),
    ("GET", "/load_balancer_types", _index("load_balancer_types", catalog.load_balancer_types)),
    ("GET", "/load_balancer_types/{id}", _read("load_balancer_type", catalog.load_balancer_types)),
    ("GET", "/storage_box_types", _index("storage_box_types", catalog.storage_box_types)),
    ("GET", "/storage_box_types/{id}", _read("storage_box_type", catalog.storage_box_types)),
    ("GET", "/isos", isos),
    ("GET", "/isos/{id}", _read("iso", catalog.isos)),
    ("GET", "/pricing", pricing),
]
