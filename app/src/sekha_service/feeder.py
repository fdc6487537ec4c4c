"""The background worker that keeps the vector index in step with the store, through the outbox.

It has a process of its own. Of several controllers', only the one holding the outbox's lock works; the others try again
now and then.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from uuid import UUID

import psycopg

from .bell import Bell
from .embed import Embedder
from .errors import ProviderAwayError, UnavailableError
from .index import Index
from .store import Outbox

_EMBED_BATCH = 64
INDEX_BATCH = 500  # Chroma takes large batches ten times faster than single vectors
_POLL_SECONDS = 0.5
_LOCK_RETRY_SECONDS = 2.0
_LONGEST_PAUSE = 5.0
ADOPT_SECONDS = 5.0
_log = logging.getLogger("sekha.feeder")


class Feeder:
    """Runs until cancelled; a ring of the bell makes it look at the outbox at once."""

    def __init__(self, outbox: Outbox, embedder: Embedder, index: Index, bell: Bell) -> None:
        self._outbox, self._embedder, self._index, self._bell = outbox, embedder, index, bell
        self._adopted = -ADOPT_SECONDS  # when the collection was last seen to be the one that is fed
        self._index_away: str | None = None
        self._embedder_away = False

    async def run(self) -> None:
        """Feed forever. Whatever fails is tried again: the outbox keeps what isn't done."""
        pause = 0.5
        while True:
            try:
                if not await self._outbox.acquire():
                    await asyncio.sleep(_LOCK_RETRY_SECONDS)
                    continue
                self._adopted = -ADOPT_SECONDS
                while True:
                    busy = await self._step()
                    pause = 0.5
                    if not busy:
                        await self._rest()
            except asyncio.CancelledError:
                await self._outbox.close()
                raise
            except (psycopg.Error, UnavailableError) as error:
                _log.warning("feeding the index pauses, the database failed: %s", str(error).strip())
            except Exception:
                _log.exception("feeding the index failed; trying again")
            await self._outbox.close()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _rest(self) -> None:
        await self._bell.wait(2.0 if self._index_away or self._embedder_away else _POLL_SECONDS)

    async def _step(self) -> bool:
        """Embed a batch, feed a batch; True when there may be more to do at once."""
        model = self._embedder.model
        texts = await self._outbox.unembedded(model, _EMBED_BATCH)
        embedded = bool(texts) and await self._embed(model, texts)
        fed = await self._feed(model)
        return embedded or fed

    async def _embed(self, model: str, texts: Sequence[tuple[UUID, str]]) -> bool:
        """Store the vectors of these messages; False while the embedder is away: they wait for it."""
        try:
            vectors = await self._embedder.documents([content for _, content in texts])
        except ProviderAwayError as error:
            if not self._embedder_away:
                _log.warning("the embedder is away, the outbox waits: %s", error)
            self._embedder_away = True
            return False
        rows = [(i, vector.astype("<f4").tobytes()) for (i, _), vector in zip(texts, vectors, strict=True)]
        await self._outbox.save_vectors(model, rows)
        self._embedder_away = False
        return True

    async def _feed(self, model: str) -> bool:
        try:
            if time.monotonic() - self._adopted >= ADOPT_SECONDS:
                queued = await self._outbox.adopt_collection(*await self._index.collection(), model)
                self._adopted = time.monotonic()
                if queued:
                    _log.info("the vector index is new: %d messages queued for it", queued)
            items = await self._outbox.ready(model, INDEX_BATCH)
            if items:
                await self._index.apply(items)
                await self._outbox.done(items)
            elif self._index_away:
                await self._index.check()
        except ProviderAwayError as error:
            self._adopted = -ADOPT_SECONDS  # it may come back empty
            if self._index_away is None:
                _log.warning("the vector index is away, the outbox waits: %s", error)
            self._index_away = str(error)
            return False
        if self._index_away is not None:
            _log.info("the vector index is back")
            self._index_away = None
        return len(items) == INDEX_BATCH
