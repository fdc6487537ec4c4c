"""Feeding several replicas of the vector index: none waits for another, and each ends with everything."""

import logging
import time
from collections.abc import Sequence

from .bell import Bell
from .embed import Embedder
from .errors import ProviderAwayError
from .feeder import ADOPT_SECONDS, INDEX_BATCH, Feeder
from .index.chroma import ChromaIndex
from .index.replicas import ReplicatedIndex
from .store import OutboxItem, ReplicaOutbox

_CATCH_UP_BATCHES = 4  # of one replica before new messages have their turn again
_log = logging.getLogger("sekha.feeder")


class ReplicaFeeder(Feeder):
    """What is new goes to all that answer; what one missed is noted, and brought to it when it answers again."""

    def __init__(self, outbox: ReplicaOutbox, embedder: Embedder, index: ReplicatedIndex, bell: Bell) -> None:
        super().__init__(outbox, embedder, index, bell)
        self._replicas, self._noted = index.members, outbox
        # When each is looked at again; negative while it is away.
        self._look_again: dict[str, float] = {}

    async def _feed(self, model: str) -> bool:
        up = [member for member in self._replicas if await self._adopted_now(member, model)]
        if not up:
            return False
        items = await self._noted.ready(model, INDEX_BATCH)
        if items:
            fed = [member for member in up if await self._apply(member, items)]
            if not fed:
                return False
            missed = [member.replica for member in self._replicas if member not in fed]
            await self._noted.done_but_for(items, missed)
            up = fed
        busy = [await self._catch_up(member, model) for member in up]
        return len(items) == INDEX_BATCH or any(busy)

    async def _adopted_now(self, member: ChromaIndex, model: str) -> bool:
        """Whether it answers; its collection is looked at now and then: it may have been emptied."""
        known = self._look_again.get(member.replica, 0.0)
        if time.monotonic() < abs(known):
            return known > 0
        try:
            _, identity = await member.collection()
        except ProviderAwayError as error:
            self._note_away(member, error)
            return False
        queued = await self._noted.adopt_replica(member.replica, identity, model)
        if queued:
            _log.info("%s is new: %d messages queued for it", member.replica, queued)
        elif known < 0:
            _log.info("%s is back", member.replica)
        self._look_again[member.replica] = time.monotonic() + ADOPT_SECONDS
        return True

    async def _apply(self, member: ChromaIndex, items: Sequence[OutboxItem]) -> bool:
        try:
            await member.apply(items)
        except ProviderAwayError as error:
            self._note_away(member, error)
            return False
        return True

    def _note_away(self, member: ChromaIndex, error: ProviderAwayError) -> None:
        if self._look_again.get(member.replica, 1.0) > 0:
            _log.warning("%s is away, what it misses is noted: %s", member.replica, error)
        self._look_again[member.replica] = -(time.monotonic() + ADOPT_SECONDS)

    async def _catch_up(self, member: ChromaIndex, model: str) -> bool:
        """Bring it what it missed; True when there is more."""
        for _ in range(_CATCH_UP_BATCHES):
            missed = await self._noted.behind(member.replica, model, INDEX_BATCH)
            if not missed:
                return False
            # A message without a vector yet comes through the outbox.
            known = [item for item in missed if item.vector is not None or item.conversation_id is None]
            if known and not await self._apply(member, known):
                return False
            await self._noted.caught_up(member.replica, [item.message_id for item in missed])
            if len(missed) < INDEX_BATCH:
                return False
        return True
