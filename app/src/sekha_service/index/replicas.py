"""Several replicas of Chroma, each with all vectors: asked one after the other until one answers that is complete."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from ..embed import Vectors
from ..errors import ProviderAwayError, UnavailableError
from ..store import OutboxItem
from .chroma import ChromaIndex

_AVOID_SECONDS = 2.0  # one that didn't answer isn't asked again for so long
_TRUST_SECONDS = 2.0  # how old the knowledge of who is complete may be
Complete = Callable[[Sequence[str]], Awaitable[dict[str, str]]]
"""Of these replicas, the complete ones: name -> id of the collection that is."""
_log = logging.getLogger("sekha.replicas")


class ReplicatedIndex:
    """The Index protocol over `members`, the preferred one first. The feeder feeds each by itself."""

    def __init__(self, members: Sequence[ChromaIndex], complete: Complete) -> None:
        self.members = list(members)
        self._complete = complete
        self._known: dict[str, str] = {}
        self._known_at = -_TRUST_SECONDS
        self._avoided: dict[str, float] = {}

    async def close(self) -> None:
        for member in self.members:
            await member.close()

    async def check(self) -> None:
        """Any of them answers."""
        reasons = []
        for member in self.members:
            try:
                await member.check()
            except ProviderAwayError as error:
                reasons.append(f"{member.replica}: {error}")
            else:
                return
        raise ProviderAwayError("; ".join(reasons))

    async def collection(self) -> tuple[str, str]:
        raise NotImplementedError("each replica has its own")

    async def apply(self, items: Sequence[OutboxItem]) -> None:
        raise NotImplementedError("each replica is fed by itself")

    async def nearest(self, vector: Vectors, limit: int) -> list[tuple[UUID, float]]:
        """As the protocol says. Before it gives up for all are incomplete, it makes sure that this is no old news."""
        started = time.monotonic()
        while True:
            reasons, filling = [], False
            for member in self.members:
                if time.monotonic() < self._avoided.get(member.replica, 0.0):
                    reasons.append(f"{member.replica} did not answer a moment ago")
                    continue
                try:
                    if await self._trusted(member):
                        return await member.nearest(vector, limit)
                except ProviderAwayError as error:
                    self._avoided[member.replica] = time.monotonic() + _AVOID_SECONDS
                    reasons.append(f"{member.replica}: {error}")
                else:
                    filling = True
                    reasons.append(f"{member.replica} is being filled")
            if not filling or self._known_at >= started:
                raise ProviderAwayError("; ".join(reasons))
            self._known_at = -_TRUST_SECONDS

    async def _trusted(self, member: ChromaIndex) -> bool:
        """Whether it holds all: its collection is the one that was fed, and nothing waits for it."""
        asked = time.monotonic()
        if asked - self._known_at >= _TRUST_SECONDS:
            try:
                self._known = await self._complete([each.replica for each in self.members])
            except UnavailableError as error:
                raise ProviderAwayError(str(error)) from None
            self._known_at = asked
        return self._known.get(member.replica) == await member.identity()
