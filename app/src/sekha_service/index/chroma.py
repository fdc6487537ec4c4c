"""Chroma over its HTTP API, version 2."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import orjson

from ..embed import Vectors
from ..errors import ProviderAwayError
from ..store import OutboxItem

_BASE = "/api/v2/tenants/default_tenant/databases/default_database/collections"
# Nobody but the feeder waits for a write, and a large batch takes long on a busy machine.
_WRITE_TIMEOUT = httpx.Timeout(120, connect=2)
# Cosine; the graph's parameters are those measured for recall@10 of 0.998 at 100,000 vectors.
HNSW = {"space": "cosine", "ef_construction": 200, "max_neighbors": 16, "ef_search": 100}


class ChromaIndex:
    """One collection of one Chroma server, holding vectors of one model."""

    def __init__(
        self, url: str, name: str, model: str, dimension: int, client: httpx.AsyncClient | None = None
    ) -> None:
        self._name, self._model, self._dimension = name, model, dimension
        self.replica = f"{name} at {url}"
        self._client = client or httpx.AsyncClient(
            base_url=url, timeout=httpx.Timeout(10, connect=2), trust_env=False, limits=httpx.Limits(max_connections=32)
        )
        self._id: str | None = None

    async def close(self) -> None:
        await self._client.aclose()

    async def check(self) -> None:
        await self._call("GET", "/api/v2/heartbeat", timeout=httpx.Timeout(2))

    async def collection(self) -> tuple[str, str]:
        answer = await self._call(
            "POST",
            _BASE,
            {
                "name": self._name,
                "get_or_create": True,
                "configuration": {"hnsw": HNSW},
                "metadata": {"model": self._model, "dimension": self._dimension},
            },
        )
        made_for = (answer.get("metadata") or {}).get("model", self._model)
        if made_for != self._model:
            raise ProviderAwayError(
                f"Chroma's collection {self._name} holds vectors of {made_for}, not {self._model}: "
                "set chroma.collection_name to another name"
            )
        self._id = str(answer["id"])
        return self._name, self._id

    async def apply(self, items: Sequence[OutboxItem]) -> None:
        # Only the last word on each message counts.
        last = {item.message_id: item for item in items}
        upserts = [item for item in last.values() if item.vector is not None]
        deletes = [str(item.message_id) for item in last.values() if item.vector is None]
        if upserts:
            vectors = [np.frombuffer(item.vector or b"", dtype="<f4") for item in upserts]
            await self._on_collection(
                "upsert",
                {
                    "ids": [str(item.message_id) for item in upserts],
                    "embeddings": vectors,
                    "metadatas": [{"conversation_id": str(item.conversation_id)} for item in upserts],
                },
                _WRITE_TIMEOUT,
            )
        if deletes:
            await self._on_collection("delete", {"ids": deletes}, _WRITE_TIMEOUT)

    async def nearest(self, vector: Vectors, limit: int) -> list[tuple[UUID, float]]:
        answer = await self._on_collection(
            "query", {"query_embeddings": [vector], "n_results": limit, "include": ["distances"]}
        )
        ids, distances = answer["ids"][0], answer["distances"][0]
        return [(UUID(i), 1.0 - float(d)) for i, d in zip(ids, distances, strict=True)]

    async def identity(self) -> str:
        """The collection's id. It is never made here: an emptied Chroma is away until the feeder adopts it."""
        if self._id is None:
            self._id = str((await self._call("GET", f"{_BASE}/{self._name}"))["id"])
        return self._id

    async def _on_collection(self, action: str, body: dict[str, Any], timeout: httpx.Timeout | None = None) -> Any:
        known = await self.identity()
        try:
            return await self._call("POST", f"{_BASE}/{known}/{action}", body, timeout)
        except CollectionGoneError:
            self._id = None
            raise

    async def _call(self, method: str, path: str, body: Any = None, timeout: httpx.Timeout | None = None) -> Any:
        try:
            response = await self._client.request(
                method,
                path,
                content=None if body is None else orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY),
                headers={"Content-Type": "application/json"},
                timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
            )
        except httpx.HTTPError as error:
            raise ProviderAwayError(f"Chroma does not answer: {error or type(error).__name__}") from None
        if response.status_code == 404 and path.startswith(f"{_BASE}/"):
            raise CollectionGoneError("Chroma does not know the collection")
        if response.status_code >= 400:
            raise ProviderAwayError(f"Chroma answered {response.status_code}: {response.text[:200]}")
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise ProviderAwayError("Chroma's answer is not JSON") from None


class CollectionGoneError(ProviderAwayError):
    """Chroma doesn't know the collection any more: it was emptied or replaced."""
