"""Certificates: uploaded ones (everything shown is read from the PEM), and managed ones.

Managed ones are issued by pebble after a DNS challenge (localcloud.acme_issuer).
"""

from __future__ import annotations

import re
from typing import Any

from localcloud import pem, zonefile
from localcloud.api import kinds
from localcloud.api.call import Call
from localcloud.api.errors import invalid, refused
from localcloud.api.routes import Answer, Route
from localcloud.backend import BackendError, NotIssuedError
from localcloud.store import Data
from localcloud.worker import Operation, Scope

KIND = "certificate"
MAX_DOMAINS = 100
CA = "letsencrypt.org"  # as CAA records name Hetzner's, whose part pebble plays
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"(?=.{{1,253}}$)(?:\*\.)?{LABEL}(?:\.{LABEL})+", re.IGNORECASE)


def users(scope: Scope, data: Data) -> list[Data]:
    """The load balancers with a service that has the certificate, as `used_by`."""
    found = []
    for row in scope.all("load_balancer"):
        if any(data["id"] in ((service.get("http") or {}).get("certificates") or []) for service in row["services"]):
            found.append({"id": row["id"], "type": "load_balancer"})
    return found


def view(scope: Scope, data: Data) -> Data:
    """The certificate as the API shows it: never with its key."""
    shown = {key: value for key, value in data.items() if key != "private_key"}
    return {**shown, "used_by": users(scope, data)}


def _uploaded(call: Call) -> Data:
    chain, key = call.body.get("certificate"), call.body.get("private_key")
    if not isinstance(chain, str) or len(chain) > pem.MAX_CHAIN:
        raise invalid("certificate", f"must be PEM of at most {pem.MAX_CHAIN} bytes")
    if not isinstance(key, str) or len(key) > pem.MAX_KEY:
        raise invalid("private_key", f"must be PEM of at most {pem.MAX_KEY} bytes")
    try:
        facts = pem.read(chain)
    except ValueError as error:
        raise invalid("certificate", str(error)) from None
    try:
        pem.check_key(chain, key)
    except ValueError as error:
        raise invalid("private_key", str(error)) from None
    return {**facts, "certificate": chain, "private_key": key, "status": None}


def _managed(call: Call) -> Data:
    names = call.items("domain_names")
    if not names or len(names) > MAX_DOMAINS or not all(isinstance(n, str) and DOMAIN.fullmatch(n) for n in names):
        raise invalid("domain_names", f"must be 1 to {MAX_DOMAINS} domain names")
    nothing: dict[str, Any] = dict.fromkeys(
        ("certificate", "private_key", "not_valid_before", "not_valid_after", "fingerprint")
    )
    status = {"issuance": "pending", "renewal": "unavailable", "error": None}
    return {**nothing, "domain_names": list(dict.fromkeys(names)), "status": status}


def create(call: Call) -> Answer:
    kind, labels = call.choice("type", ("uploaded", "managed"), "uploaded"), call.labels()
    fields = _uploaded(call) if kind == "uploaded" else _managed(call)
    data = call.add(KIND, {"name": call.name(KIND), "labels": labels, "type": kind, **fields})
    action = None
    if kind == "managed":
        action = call.act("create_certificate", [(KIND, data["id"])], "issue_certificate", {"id": data["id"]})
    return 201, {KIND: view(call, data), "action": action}


def delete(call: Call) -> Answer:
    data = call.target(KIND)
    if users(call, data):
        raise refused("resource_in_use", "certificate is still in use by a load balancer")
    call.delete(KIND, data)
    return 204, None


def retry(call: Call) -> Answer:
    data = call.target(KIND)
    if data["type"] != "managed" or data["status"]["issuance"] != "failed":
        raise refused("unsupported_error", "only a managed certificate whose issuance or renewal failed can be retried")
    data["status"] = {"issuance": "pending", "renewal": "unavailable", "error": None}
    call.save(KIND, data)
    return 201, {"action": call.act("issue_certificate", [(KIND, data["id"])], "issue_certificate", {"id": data["id"]})}


def _check_zones(scope: Scope, names: list[str]) -> None:
    """What Hetzner's DNS would not allow. A domain without a zone in the project is taken for one delegated to us."""
    zones = scope.all("zone")
    for name in (name.removeprefix("*.").lower() for name in names):
        for zone in zones:
            if zone["mode"] == "secondary" and (name == zone["name"] or name.endswith(f".{zone['name']}")):
                raise NotIssuedError("dns_zone_is_secondary_zone", f"{zone['name']} is a secondary zone")
        labels = name.split(".")
        for number in range(len(labels) - 1):  # the closest CAA records count (RFC 8659)
            rows = zonefile.values(zones, ".".join(labels[number:]), "CAA")
            allowed = [row.split()[2].strip('"') for row in rows if row.split()[1] == "issue"]
            if allowed and CA not in allowed:
                raise NotIssuedError("caa_record_does_not_allow_ca", f"the CAA records of {name} don't allow {CA}")
            if rows:
                break


def _issue(scope: Scope, args: Data) -> None:
    if data := scope.get(KIND, args["id"]):
        try:
            if scope.cloud.issue is None:
                raise BackendError("there is no certificate authority to issue it")
            _check_zones(scope, data["domain_names"])
            chain, key = scope.cloud.issue(data["domain_names"])
        except BackendError as error:
            args["error"] = {"code": getattr(error, "code", "ca_dns_validation_failed"), "message": str(error)}
            raise
        scope.save(KIND, {**data, **pem.read(chain), "certificate": chain, "private_key": key})


def _done(scope: Scope, args: Data) -> None:
    if (data := scope.get(KIND, args["id"])) and data["certificate"]:
        scope.save(KIND, {**data, "status": {"issuance": "completed", "renewal": "scheduled", "error": None}})


def _failed(scope: Scope, args: Data) -> None:
    if data := scope.get(KIND, args["id"]):
        error = args.get("error") or {"code": "service_error", "message": "the certificate could not be issued"}
        scope.save(KIND, {**data, "status": {"issuance": "failed", "renewal": "unavailable", "error": error}})


OPERATIONS = {"issue_certificate": Operation(work=_issue, done=_done, failed=_failed)}

ROUTES: list[Route] = [
    ("POST", "/certificates", create),
    *kinds.routes(KIND, view, equal=("name", "type")),
    ("DELETE", "/certificates/{id}", delete),
    ("POST", "/certificates/{id}/actions/retry", retry),
]
