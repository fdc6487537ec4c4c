"""Embedders of remote providers. The model is what the configuration says, and never changes while the service runs."""

import asyncio
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ProviderAwayError
from ..remote import RefusedError, Remote, dig
from . import Vectors

_SECONDS = 10.0
_CACHE_SIZE = 4096
_BATCH = 32
_MOST_CHARACTERS = 8000  # about 2,000 tokens, what common models read
_FEWEST_CHARACTERS = 250


class RemoteEmbedder:
    """Queries are cached; what two ask at once is computed once. Vectors of another dimension are refused."""

    def __init__(self, remote: Remote, model: str, dimension: int) -> None:
        self._remote, self.model, self.dimension = remote, model, dimension
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._asked: dict[str, asyncio.Task[Vectors]] = {}

    @abstractmethod
    async def _ask(self, texts: list[str]) -> Any:
        """The provider's vectors of `texts`, as a list of lists of numbers."""

    async def query(self, text: str) -> Vectors:
        """See Embedder."""
        if text in self._cache:
            self._cache.move_to_end(text)
            return self._cache[text]
        task = self._asked.get(text)
        if task is None:
            task = self._asked[text] = asyncio.create_task(self._one(text))
            task.add_done_callback(lambda _: self._asked.pop(text, None))
        return await asyncio.shield(task)

    async def _one(self, text: str) -> Vectors:
        vector: Vectors = (await self._vectors([text]))[0]
        self._cache[text] = vector
        if len(self._cache) > _CACHE_SIZE:
            self._cache.popitem(last=False)
        return vector

    async def documents(self, texts: Sequence[str]) -> Vectors:
        """See Embedder."""
        parts = [await self._vectors(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)]
        return np.concatenate(parts)

    async def _vectors(self, texts: Sequence[str], most: int = _MOST_CHARACTERS) -> Vectors:
        try:
            return self._checked(await self._ask([text[:most] for text in texts]), len(texts))
        except RefusedError:
            # One text may be too long for the model: each on its own, then shorter, so that none blocks the others.
            if len(texts) > 1:
                return np.concatenate([await self._vectors([text], most) for text in texts])
            if most <= _FEWEST_CHARACTERS or len(texts[0]) <= _FEWEST_CHARACTERS:
                raise
            return await self._vectors(texts, min(most, len(texts[0])) // 2)

    def _checked(self, given: Any, count: int) -> Vectors:
        """The vectors as float32 of length 1, shape (count, dimension)."""
        try:
            matrix = np.asarray(given, dtype=np.float32)
        except (TypeError, ValueError):
            raise ProviderAwayError("the embedding provider's answer holds no vectors") from None
        if matrix.shape != (count, self.dimension):
            raise ProviderAwayError(
                f"the embedding provider gave vectors of shape {matrix.shape} for {count} texts, not of dimension "
                f"{self.dimension}: is embedding.model {self.model} the model it serves? (embedding.dimension)"
            )
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or (lengths == 0).any():
            raise ProviderAwayError("the embedding provider gave vectors without a direction")
        unit: Vectors = (matrix / lengths).astype(np.float32)
        return unit

    async def check(self) -> None:
        """See Embedder."""
        await self._vectors(["health"])

    async def close(self) -> None:
        """See Embedder."""
        await self._remote.close()


class OllamaEmbedder(RemoteEmbedder):
    """Ollama: POST /api/embed."""

    async def _ask(self, texts: list[str]) -> Any:
        body = {"model": self.model, "input": texts}
        return dig(await self._remote.call("POST", "/api/embed", body, seconds=_SECONDS), "embeddings")


class OpenAiEmbedder(RemoteEmbedder):
    """An OpenAI-compatible API: POST /embeddings below the base URL."""

    async def _ask(self, texts: list[str]) -> Any:
        body = {"model": self.model, "input": texts, "encoding_format": "float"}
        rows = dig(await self._remote.call("POST", "/embeddings", body, seconds=_SECONDS), "data")
        return [dig(row, "embedding") for row in sorted(rows, key=lambda row: dig(row, "index"))]


class BridgeEmbedder(RemoteEmbedder):
    """sekha-llm-bridge: POST /embed, one text at a time."""

    async def _ask(self, texts: list[str]) -> Any:
        found = []
        for text in texts:
            answer = await self._remote.call("POST", "/embed", {"text": text, "model": self.model}, seconds=_SECONDS)
            found.append(dig(answer, "embedding"))
        return found
