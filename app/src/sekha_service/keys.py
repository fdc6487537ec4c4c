"""API keys: kept as SHA-256 digests only, compared in constant time. Some are configured, some in the database."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Iterable

from .errors import UnavailableError
from .store.key_tables import ActiveKey, KeyTable

REFRESH_SECONDS = 2.0  # a key made or revoked is known to every worker within this, while the database answers
_NOTE_SECONDS = 60.0
_log = logging.getLogger("sekha.keys")


class KeyRing:
    """The accepted keys of REST and MCP alike."""

    def __init__(self, keys: Iterable[str], hashes: Iterable[str]) -> None:
        """`keys` in plain text (digested at once), `hashes` as `sha256:HEX`."""
        digests = {hashlib.sha256(key.encode()).digest() for key in keys}
        digests |= {bytes.fromhex(text.partition(":")[2]) for text in hashes}
        self._configured = digests
        self._ends: dict[bytes, float] = dict.fromkeys(digests, float("inf"))
        self._used: set[bytes] = set()

    def identify(self, key: str) -> bytes | None:
        """The digest of an accepted key, else None. Looks at every digest, so that time tells nothing."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        now = time.time()
        found = False
        for known, end in self._ends.items():
            found |= hmac.compare_digest(known, digest) and now < end
        if not found:
            return None
        self._used.add(digest)
        return digest

    def replace_stored(self, stored: Iterable[ActiveKey]) -> None:
        """Accept the configured keys and these (digest, end), no others."""
        ends = {digest: end.timestamp() if end else float("inf") for digest, end in stored}
        self._ends = ends | dict.fromkeys(self._configured, float("inf"))

    def take_used(self) -> set[bytes]:
        """The stored keys used since the last call."""
        used, self._used = self._used - self._configured, set()
        return used


class KeyRefresher:
    """Keeps a ring in step with the database's keys."""

    def __init__(self, ring: KeyRing, table: KeyTable) -> None:
        self._ring, self._table = ring, table
        self._noted = time.monotonic() - _NOTE_SECONDS

    async def refresh(self) -> None:
        """Once; while the database is away, what was known stays."""
        try:
            self._ring.replace_stored(await self._table.active())
            if time.monotonic() - self._noted >= _NOTE_SECONDS:
                used = self._ring.take_used()
                if used:
                    await self._table.note_use(used)
                    self._noted = time.monotonic()
        except UnavailableError as error:
            _log.debug("the database's keys could not be read: %s", error.message)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except Exception:
                _log.exception("reading the database's keys failed; trying again")


def presented_key(authorization: str | None, x_api_key: str | None) -> str | None:
    """The key a request carries: `Authorization: Bearer KEY` (scheme in any case) or `X-API-Key: KEY`."""
    if authorization:
        scheme, _, key = authorization.strip().partition(" ")
        return key.strip() or None if scheme.lower() == "bearer" else None
    return x_api_key.strip() or None if x_api_key else None
