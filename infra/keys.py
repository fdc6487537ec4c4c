"""Making the secrets of a stack (for `make init`), and what is derived from them. Pure but for the random numbers."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

API_KEY_PREFIX = "sk-sekha-"


def generate_api_key() -> str:
    """A new API key: the prefix and 43 URL-safe characters (32 random bytes)."""
    return API_KEY_PREFIX + secrets.token_urlsafe(32)


def generate_stack_key() -> str:
    """A new stack key: 32 random bytes as 64 hexadecimal digits."""
    return secrets.token_hex(32)


def generate_signing_key() -> str:
    """A new ed25519 private key in OpenSSH's format, unencrypted."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def public_key(private: str) -> str:
    """The public line ("ssh-ed25519 AAAA...", no comment) of an OpenSSH ed25519 private key.

    Raises ValueError when `private` is something else.
    """
    try:
        # A key that went through a config file or a shell may have lost its last newline, which the format needs.
        key = load_ssh_private_key(private.strip().encode() + b"\n", password=None)
    except Exception as error:
        raise ValueError("not an unencrypted OpenSSH private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an ed25519 key")
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def api_key_hash(api_key: str) -> str:
    """The form in which an API key reaches a machine: "sha256:" and the hexadecimal SHA-256 of the key."""
    return "sha256:" + hashlib.sha256(api_key.encode()).hexdigest()
