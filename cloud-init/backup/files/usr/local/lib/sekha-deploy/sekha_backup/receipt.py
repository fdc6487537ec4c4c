"""Receipts of this machine in the bucket: what a verification or check found, sealed with the stack's own key.

The machine has no signing key, and a host's SSH key would be another one after each rebuild; so the seal is an
HMAC-SHA256 under a key derived from the stack key: who holds it (operator, machine) can tell a true receipt from one of
somebody who only has the bucket.
"""

from __future__ import annotations

import datetime
import hmac
import json
from typing import Any

from sekha_backup import machine
from sekha_backup.bucket import Bucket
from sekha_backup.machine import RECEIPT, Place, RefusedError

VERIFICATION, CHECK = "verification", "check"
OWN = machine.ROOT / "var/lib/sekha-deploy"  # KIND.json: this machine's newest of a kind


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def seal(place: Place, kind: str, figures: dict[str, Any]) -> bytes:
    """The receipt as an object: {"text", "mac"}. `figures` holds `at`; kind and stack are added."""
    text = json.dumps({"kind": kind, "stack": place.stack, **figures}, sort_keys=True)
    return json.dumps({"text": text, "mac": _mac(place, text)}).encode()


def unseal(place: Place, data: bytes) -> dict[str, Any]:
    """What a receipt says. Raises RefusedError when another key made it, or somebody changed it."""
    receipt = json.loads(data)
    if not hmac.compare_digest(_mac(place, receipt["text"]), receipt["mac"]):
        raise RefusedError("the receipt was changed, or made with another stack key")
    content: dict[str, Any] = json.loads(receipt["text"])
    return content


def _mac(place: Place, text: str) -> str:
    return hmac.digest(bytes.fromhex(place.derived(RECEIPT)), text.encode(), "sha256").hex()


def note(kind: str, figures: dict[str, Any]) -> None:
    """Keep the newest of a kind on the machine, where it is also when the bucket is away."""
    machine.write(OWN / f"{kind}.json", json.dumps(figures), 0o644)


def publish(place: Place, kind: str, figures: dict[str, Any], history: bool) -> str:
    """Store it as receipts/KIND.json and, with `history`, under its time for good; that key. Raises OSError."""
    bucket, sealed = Bucket(place), seal(place, kind, figures)
    newest = f"{place.prefix}receipts/{kind}.json"
    kept = f"{place.prefix}receipts/{kind}-{figures['at']}.json" if history else newest
    for key in {kept, newest}:
        bucket.put(key, sealed)
    return kept


def newest(place: Place, kind: str) -> dict[str, Any]:
    """This machine's newest receipt of a kind, else (after a rebuild) the bucket's; {} = none that this stack key made.
    Raises OSError."""
    if (OWN / f"{kind}.json").exists():
        return machine.read(OWN / f"{kind}.json")
    answer = Bucket(place).get(f"{place.prefix}receipts/{kind}.json")
    try:
        return unseal(place, answer.body) if answer.status == 200 else {}
    except (RefusedError, ValueError, KeyError, TypeError):
        return {}
