"""The services of a load balancer: defaults, validation, merging, and the actions on them."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from localcloud.api.call import Call
from localcloud.api.errors import ApiError, invalid, limit, not_found, refused
from localcloud.api.lb_state import acted, type_of
from localcloud.api.routes import Answer, Route
from localcloud.store import Data
from localcloud.worker import Scope

KIND = "load_balancer"
PORTS = {"http": (80, 80), "https": (443, 80)}  # protocol -> default listen and destination port
STATUS_CODE = re.compile(r"[1-5?][0-9?][0-9?]")
COOKIE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
TEXT = re.compile(r"[\x20-\x7e]*")


def _no_dict(field: str, value: Any) -> Data:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(field, "must be an object")
    return {key: item for key, item in value.items() if item is not None}


def _number(field: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid(field, f"must be a whole number from {low} to {high}")
    return value


def _flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid(field, "must be true or false")
    return value


def _text(field: str, value: Any, pattern: re.Pattern[str] = TEXT, longest: int = 255) -> str:
    if not isinstance(value, str) or len(value) > longest or not pattern.fullmatch(value):
        raise invalid(field, "must be printable ASCII text")
    return value


def _http(scope: Scope, protocol: str, wish: Data) -> Data:
    ids = wish.get("certificates", [])
    if not isinstance(ids, list) or not all(isinstance(i, int) for i in ids):
        raise invalid("http.certificates", "must be a list of ids")
    for number in ids:
        if scope.get("certificate", number) is None:
            raise not_found("certificate", number)
    redirect = _flag("http.redirect_http", wish.get("redirect_http", False))
    if protocol == "https" and not ids:
        raise invalid("http.certificates", "an https service needs a certificate")
    if protocol == "http" and (ids or redirect):
        raise invalid("http.certificates" if ids else "http.redirect_http", "is for https services only")
    return {
        "sticky_sessions": _flag("http.sticky_sessions", wish.get("sticky_sessions", False)),
        "cookie_name": _text("http.cookie_name", wish.get("cookie_name") or "HCLBSTICKY", COOKIE),
        "cookie_lifetime": _number("http.cookie_lifetime", wish.get("cookie_lifetime", 300), 30, 86400),
        "timeout_idle": _number("http.timeout_idle", wish.get("timeout_idle", 60), 5, 300),
        "certificates": list(dict.fromkeys(ids)),
        "redirect_http": redirect,
    }


def _check(protocol: str, port: int, wish: Data) -> Data:
    kind = wish.get("protocol", "tcp" if protocol == "tcp" else "http")
    if kind not in ("tcp", "http"):
        raise invalid("health_check.protocol", "must be tcp or http")
    found = {
        "protocol": kind,
        "port": _number("health_check.port", wish.get("port", port), 1, 65535),
        "interval": _number("health_check.interval", wish.get("interval", 15), 3, 60),
        "timeout": _number("health_check.timeout", wish.get("timeout", 10), 1, 60),
        "retries": _number("health_check.retries", wish.get("retries", 3), 1, 5),
        "http": None,
    }
    if kind == "http":
        http = _no_dict("health_check.http", wish.get("http"))
        codes = http.get("status_codes", ["2??", "3??"])
        if (
            not isinstance(codes, list)
            or not codes
            or not all(isinstance(c, str) and STATUS_CODE.fullmatch(c) for c in codes)
        ):
            raise invalid("health_check.http.status_codes", "must be codes as 200 or 2??")
        path = _text("health_check.http.path", http.get("path", "/"))
        if not path.startswith("/") or " " in path:
            raise invalid("health_check.http.path", "must begin with / and have no blanks")
        found["http"] = {
            "domain": _text("health_check.http.domain", http.get("domain", ""), re.compile(r"[A-Za-z0-9.:\[\]_-]*")),
            "path": path,
            "response": _text("health_check.http.response", http.get("response", "")),
            "status_codes": codes,
            "tls": _flag("health_check.http.tls", http.get("tls", False)),
        }
    return found


def complete(scope: Scope, wish: Any) -> Data:
    """A valid service with every field filled in. Raises invalid_input, not_found for a certificate."""
    body = _no_dict("services", wish)
    protocol = body.get("protocol")
    if protocol not in ("tcp", "http", "https"):
        raise invalid("protocol", "must be tcp, http or https")
    listen, destination = PORTS.get(protocol, (None, None))
    port = _number("destination_port", body.get("destination_port", destination), 1, 65535)
    return {
        "protocol": protocol,
        "listen_port": _number("listen_port", body.get("listen_port", listen), 1, 65535),
        "destination_port": port,
        "proxyprotocol": _flag("proxyprotocol", body.get("proxyprotocol", False)),
        "http": None if protocol == "tcp" else _http(scope, protocol, _no_dict("http", body.get("http"))),
        "health_check": _check(protocol, port, _no_dict("health_check", body.get("health_check"))),
    }


def ports(service: Data) -> set[int]:
    """The ports a service listens on: with redirect_http also 80."""
    redirect = service["http"] and service["http"]["redirect_http"]
    return {service["listen_port"], *({80} if redirect else set())}


def add_to(scope: Scope, data: Data, wish: Any) -> None:
    """Append a service to a load balancer (not saved). Raises what is wrong with it."""
    service = complete(scope, wish)
    if len(data["services"]) >= type_of(data)["max_services"]:
        raise limit("load_balancer_services")
    data["services"].append(service)
    check_all(data)


def check_all(data: Data) -> None:
    """Raises source_port_already_used or a limit if the services don't go together."""
    used: set[int] = set()
    for service in data["services"]:
        if used & ports(service):
            raise refused("source_port_already_used", f"port {service['listen_port']} is already used")
        used |= ports(service)
    certificates = {i for service in data["services"] for i in (service["http"] or {}).get("certificates", [])}
    if len(certificates) > type_of(data)["max_assigned_certificates"]:
        raise limit("load_balancer_certificates")


def _find(call: Call, data: Data) -> int:
    port = call.number("listen_port", 1, 65535)
    for number, service in enumerate(data["services"]):
        if service["listen_port"] == port:
            return number
    raise ApiError(404, "not_found", f"load balancer has no service on port {port}")


def add(call: Call) -> Answer:
    data = call.target(KIND)
    add_to(call, data, call.body)
    return acted(call, data, "add_service")


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items() if value is not None}}


def update(call: Call) -> Answer:
    """Deep merge: what is missing stays. What a new protocol has no use for is dropped."""
    data = call.target(KIND)
    number = _find(call, data)
    old = deepcopy(data["services"][number])
    protocol = call.body.get("protocol", old["protocol"])
    if protocol == "http" and old["protocol"] == "https":
        old["http"].update(certificates=[], redirect_http=False)
    data["services"][number] = complete(call, _merged(old, call.body))
    check_all(data)
    return acted(call, data, "update_service")


def delete(call: Call) -> Answer:
    data = call.target(KIND)
    del data["services"][_find(call, data)]
    return acted(call, data, "delete_service")


ROUTES: list[Route] = [
    ("POST", "/load_balancers/{id}/actions/add_service", add),
    ("POST", "/load_balancers/{id}/actions/update_service", update),
    ("POST", "/load_balancers/{id}/actions/delete_service", delete),
]
