"""Encrypting what a release carries in secret, in the form that the machine opens with openssl and the stack key."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ITERATIONS = 10_000  # the default of `openssl enc -pbkdf2`
MAC_CONTEXT = b"sekha-release-mac"


def encrypt(secrets: Mapping[str, str], stack_key: str) -> bytes:
    """`secrets` as a file: what `openssl enc -aes-256-ctr -pbkdf2 -salt` writes, a line feed, and its HMAC in hex.

    `stack_key` is 64 hex digits: openssl's passphrase as text, the HMAC's key as bytes. The salt is derived from
    key and content, so that the same secrets give the same file and an unchanged release stays unchanged.
    """
    plain = json.dumps(dict(sorted(secrets.items()))).encode()
    salt = hmac.digest(stack_key.encode(), b"salt" + plain, "sha256")[:8]
    derived = hashlib.pbkdf2_hmac("sha256", stack_key.encode(), salt, ITERATIONS, dklen=48)
    encryptor = Cipher(algorithms.AES(derived[:32]), modes.CTR(derived[32:])).encryptor()
    sealed = b"Salted__" + salt + encryptor.update(plain) + encryptor.finalize()
    return sealed + b"\n" + mac(sealed, stack_key).encode() + b"\n"


def mac(sealed: bytes, stack_key: str) -> str:
    """Hex HMAC-SHA256 of the ciphertext, with a key derived from the stack key for this purpose."""
    key = hmac.digest(bytes.fromhex(stack_key), MAC_CONTEXT, "sha256")
    return hmac.new(key, sealed, "sha256").hexdigest()
