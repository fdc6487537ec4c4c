"""What a PEM certificate says, and whether a key belongs to it. Pure functions; errors are ValueErrors."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

MAX_CHAIN, MAX_CERTIFICATES, MAX_KEY = 30_000, 5, 5_000  # bytes, number, bytes: hcloud-api-surface section 9


def _chain(text: str) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise ValueError("is no PEM certificate") from None
    if len(chain) > MAX_CERTIFICATES:
        raise ValueError(f"has {len(chain)} certificates, at most {MAX_CERTIFICATES} are allowed")
    return chain


def read(text: str) -> dict[str, Any]:
    """not_valid_before, not_valid_after, domain_names, fingerprint (SHA-256) of the first certificate of a chain.

    Raises ValueError if it is no chain, or one whose members don't certify each other in order.
    """
    chain = _chain(text)
    for below, above in pairwise(chain):
        if below.issuer != above.subject:
            raise ValueError("is no chain: each certificate must certify the one before it")
    leaf = chain[0]
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except x509.ExtensionNotFound:
        names = [str(row.value) for row in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return {
        "not_valid_before": leaf.not_valid_before_utc.isoformat(),
        "not_valid_after": leaf.not_valid_after_utc.isoformat(),
        "domain_names": names,
        "fingerprint": leaf.fingerprint(hashes.SHA256()).hex(":").upper(),
    }


def check_key(chain: str, key: str) -> None:
    """Raises ValueError unless `key` is the (unencrypted) private key of the chain's first certificate."""
    try:
        loaded = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is no unencrypted PEM private key") from None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if loaded.public_key().public_bytes(*form) != _chain(chain)[0].public_key().public_bytes(*form):
        raise ValueError("does not belong to the certificate")
