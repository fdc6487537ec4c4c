"""An age key pair out of a stack's key, for litestream (age-encryption.org/v1: X25519, in the Bech32 of BIP 173)."""

from __future__ import annotations

import subprocess

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
PRIVATE = bytes.fromhex("302e020100300506032b656e04220420")  # PKCS #8's frame of an X25519 key (RFC 8410)


def pair(secret: bytes) -> tuple[str, str]:
    """(identity, recipient) of the X25519 key `secret` (32 bytes): what opens, and what it is sealed for."""
    public = subprocess.run(
        ["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"],
        input=PRIVATE + secret, capture_output=True, timeout=30, check=True,
    ).stdout[-32:]  # fmt: skip
    return bech32("age-secret-key-", secret).upper(), bech32("age", public)


def bech32(prefix: str, data: bytes) -> str:
    """`data` in Bech32 under `prefix` (BIP 173, without its limit of 90 characters)."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    expanded = [*(ord(letter) >> 5 for letter in prefix), 0, *(ord(letter) & 31 for letter in prefix)]
    check = _polymod([*expanded, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return f"{prefix}1{''.join(LETTERS[value] for value in values)}"


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for at, generator in enumerate(GENERATORS):
            check ^= generator if top >> at & 1 else 0
    return check
