"""What a request makes the service do, noted down: its SQL statements, its questions to Chroma, its texts to embed.

The floor does exactly that again, without the service.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from sekha_service.bell import Bell
from sekha_service.config import Config
from sekha_service.http.app import build_app
from sekha_service.index.chroma import ChromaIndex
from sekha_service.parts import make

from tests.service.rig import API_KEY

from .load import Request


@dataclass
class Work:
    """What one request did: texts embedded, candidates asked of Chroma, statements with their values, in order."""

    embedded: list[str] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    statements: list[tuple[Any, Any]] = field(default_factory=list)

    def again(self) -> list[tuple[Any, Any]]:
        """The statements, creates under ids of their own."""
        return [(sql, _renewed(values) if isinstance(values, dict) else values) for sql, values in self.statements]


def _renewed(values: dict[str, Any]) -> dict[str, Any]:
    if "ids" not in values:
        return values
    new: dict[UUID, UUID] = {old: uuid4() for old in values["ids"]}
    return {**values, "id": uuid4(), "ids": list(new.values()), "queue": [new[old] for old in values["queue"]]}


async def record(config: Config, requests: list[Request]) -> list[Work]:
    """Send the requests to a service in this process, one after the other; returns what each of them did."""
    parts = make(config, Bell())
    await parts.store.open()
    transport = httpx.ASGITransport(app=build_app(parts, None))
    headers = {"Authorization": f"Bearer {API_KEY}"}
    found = []
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
        for method, path, body in requests:
            with _noting() as work:
                response = await client.request(method, path, json=body)
            assert response.is_success, response.text
            text = body.get("query") if work.asked else None
            found.append(Work([text] if text else [], work.asked, work.statements))
    await parts.index.close()
    await parts.embedder.close()
    await parts.store.close()
    return found


@contextlib.contextmanager
def _noting() -> Iterator[Work]:
    work = Work()
    execute, nearest = psycopg.AsyncConnection.execute, ChromaIndex.nearest

    async def noting_execute(self: Any, query: Any, params: Any = None, **more: Any) -> Any:
        work.statements.append((query, params))
        return await execute(self, query, params, **more)

    async def noting_nearest(self: Any, vector: Any, limit: int) -> Any:
        work.asked.append(limit)
        return await nearest(self, vector, limit)

    psycopg.AsyncConnection.execute = noting_execute  # type: ignore[method-assign]
    ChromaIndex.nearest = noting_nearest  # type: ignore[method-assign]
    try:
        yield work
    finally:
        psycopg.AsyncConnection.execute = execute  # type: ignore[method-assign]
        ChromaIndex.nearest = nearest  # type: ignore[method-assign]
