"""SSH keys: create, list, read, update, delete."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from localcloud.api import kinds
from localcloud.api.call import Call
from localcloud.api.errors import invalid, taken
from localcloud.api.routes import Answer, Route

KIND = "ssh_key"
TYPES = ("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-")


def fingerprint(public_key: str) -> str:
    """MD5 of the key blob as 16 colon-separated hex pairs. Raises ValueError if this is no SSH public key."""
    words = public_key.split()
    if len(words) < 2 or not words[0].startswith(TYPES):
        raise ValueError("not an SSH public key")
    try:
        blob = base64.b64decode(words[1], validate=True)
        (length,) = struct.unpack(">I", blob[:4])
    except (binascii.Error, struct.error):
        raise ValueError("the key is not base64 of an SSH key") from None
    if blob[4 : 4 + length] != words[0].encode() or len(blob) <= 4 + length:
        raise ValueError("the key does not hold what its type says")
    return hashlib.md5(blob, usedforsecurity=False).digest().hex(":")


def create(call: Call) -> Answer:
    key = call.text("public_key", max_length=16384) or ""
    try:
        print_ = fingerprint(key)
    except ValueError as error:
        raise invalid("public_key", str(error)) from None
    labels = call.labels()
    name = call.name(KIND)
    if any(row["fingerprint"] == print_ for row in call.all(KIND)):
        raise taken("SSH key with the same fingerprint already exists", "fingerprint")
    return 201, {KIND: call.add(KIND, {"name": name, "fingerprint": print_, "public_key": key, "labels": labels})}


def delete(call: Call) -> Answer:
    call.delete(KIND, call.target(KIND))
    return 204, None


ROUTES: list[Route] = [
    ("POST", "/ssh_keys", create),
    *kinds.routes(KIND, equal=("name", "fingerprint")),
    ("DELETE", "/ssh_keys/{id}", delete),
]
