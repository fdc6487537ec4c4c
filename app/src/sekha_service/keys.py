"""API keys: kept as SHA-256 digests only, compared in constant time."""

import hashlib
import hmac
from collections.abc import Iterable


class KeyRing:
    """The accepted keys of REST and MCP alike."""

    def __init__(self, keys: Iterable[str], hashes: Iterable[str]) -> None:
        """`keys` in plain text (digested at once), `hashes` as `sha256:HEX`."""
        digests = {hashlib.sha256(key.encode()).digest() for key in keys}
        digests |= {bytes.fromhex(text.partition(":")[2]) for text in hashes}
        self._digests = tuple(sorted(digests))

    def identify(self, key: str) -> bytes | None:
        """The digest of an accepted key, else None. Looks at every digest, so that time tells nothing."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = False
        for known in self._digests:
            found |= hmac.compare_digest(known, digest)
        return digest if found else None


def presented_key(authorization: str | None, x_api_key: str | None) -> str | None:
    """The key a request carries: `Authorization: Bearer KEY` (scheme in any case) or `X-API-Key: KEY`."""
    if authorization:
        scheme, _, key = authorization.strip().partition(" ")
        return key.strip() or None if scheme.lower() == "bearer" else None
    return x_api_key.strip() or None if x_api_key else None
