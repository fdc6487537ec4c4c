"""The built-in embedder on the event loop: work happens in threads, queries are batched together and cached."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ..errors import ProviderAwayError
from . import Vectors
from .minilm import MODEL, MiniLM

_CACHE_SIZE = 4096  # 384 floats each: 6 MB
_QUERY_BATCH = 16
_DOCUMENT_BATCH = 16


class BuiltinEmbedder:
    """Two threads: one for queries (those waiting are computed together), one for messages in small batches."""

    model = MODEL
    dimension = MiniLM.dimension

    def __init__(self) -> None:
        self._model = MiniLM()
        self._query_thread = ThreadPoolExecutor(1, "embed-query")
        self._document_thread = ThreadPoolExecutor(1, "embed-documents")
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._waiting: OrderedDict[str, asyncio.Future[Vectors]] = OrderedDict()
        self._runner: asyncio.Task[None] | None = None

    async def query(self, text: str) -> Vectors:
        """See Embedder."""
        cached = self._cache.get(text)
        if cached is not None:
            self._cache.move_to_end(text)
            return cached
        future = self._waiting.get(text)
        if future is None:
            future = self._waiting[text] = asyncio.get_running_loop().create_future()
            if self._runner is None or self._runner.done():
                self._runner = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = list(self._waiting)[:_QUERY_BATCH]
            futures = [self._waiting[text] for text in batch]
            try:
                vectors = await loop.run_in_executor(self._query_thread, self._model.encode, batch)
            except Exception as error:  # handed to those who wait
                for future in futures:
                    future.set_exception(error)
            else:
                for text, future, vector in zip(batch, futures, vectors, strict=True):
                    self._cache[text] = vector
                    future.set_result(vector)
                while len(self._cache) > _CACHE_SIZE:
                    self._cache.popitem(last=False)
            for text in batch:
                del self._waiting[text]

    async def documents(self, texts: Sequence[str]) -> Vectors:
        """See Embedder."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._document_thread, self._model.encode, list(texts), _DOCUMENT_BATCH)

    async def check(self) -> None:
        """See Embedder. In the queries' thread, so that a long batch of messages doesn't look like a failure."""
        vectors = await asyncio.get_running_loop().run_in_executor(self._query_thread, self._model.encode, ["health"])
        if abs(float((vectors[0] ** 2).sum()) - 1.0) > 1e-3:
            raise ProviderAwayError("the built-in model returned a wrong vector")

    async def close(self) -> None:
        """See Embedder."""
        for thread in (self._query_thread, self._document_thread):
            thread.shutdown(wait=False, cancel_futures=True)
