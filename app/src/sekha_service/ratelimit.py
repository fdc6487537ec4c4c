"""Token buckets shared by all workers of one machine: a small table in memory that the workers inherit.

Worker processes are forked after the table is made. A POSIX record lock guards it: the kernel releases it when a worker
dies, so that a killed worker never blocks the others.
"""

import fcntl
import hashlib
import mmap
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

_SLOT = struct.Struct("=8sdd")  # identity, tokens left, time of the last change
_PROBES = 8


@dataclass(frozen=True)
class Verdict:
    """The answer for one request; `reset` is the Unix time in seconds when the bucket is full again."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    retry_after: int


class RateLimiter:
    """One token bucket per identity: `rate` tokens a second flow in, `burst` is what it holds."""

    def __init__(self, rate: float, burst: int, slots: int = 8192, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` must count alike in all processes (CLOCK_MONOTONIC does) and never jump."""
        self._rate, self._burst, self._slots, self._clock = rate, burst, slots, clock
        self._file = os.memfd_create("sekha-rate-limit")
        os.ftruncate(self._file, slots * _SLOT.size)
        self._table = mmap.mmap(self._file, slots * _SLOT.size)

    def take(self, identity: bytes) -> Verdict:
        """Take one token from the bucket of `identity` (a key's digest or an address)."""
        tag = hashlib.blake2b(identity, digest_size=8).digest()
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            now = self._clock()
            offset, tokens = self._find(tag, now)
            allowed = tokens >= 1.0
            tokens -= allowed
            _SLOT.pack_into(self._table, offset, tag, tokens, now)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
        until_full = (self._burst - tokens) / self._rate
        return Verdict(
            allowed=allowed,
            limit=self._burst,
            remaining=int(tokens),
            reset=int(time.time() + until_full) + 1,
            retry_after=0 if allowed else max(1, round((1.0 - tokens) / self._rate + 0.499)),
        )

    def _find(self, tag: bytes, now: float) -> tuple[int, float]:
        """The slot of `tag` and its tokens at `now`; a new identity takes a free slot or the one idle for longest."""
        start = int.from_bytes(tag, "little") % self._slots
        best, oldest = 0, float("inf")
        for step in range(_PROBES):
            offset = (start + step) % self._slots * _SLOT.size
            owner, tokens, changed = _SLOT.unpack_from(self._table, offset)
            if owner == tag:
                return offset, min(self._burst, tokens + max(0.0, now - changed) * self._rate)
            if changed < oldest:
                best, oldest = offset, changed
        return best, float(self._burst)
