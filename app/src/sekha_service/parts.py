"""Putting the service together from its configuration."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from .config import Config
from .embed.batching import BuiltinEmbedder
from .feeder import Feeder
from .http.services import Services
from .index.chroma import ChromaIndex
from .llm.builtin import BuiltinLlm
from .search import Search
from .store.postgres import PostgresStore
from .store.postgres_outbox import PostgresOutbox


def make(config: Config) -> Services:
    """The service's parts, not yet open. Of each worker's share of the connections, two are for outbox and health."""
    url = config["database", "url"]
    connections = max(1, config["database", "max_connections"] // config["server", "workers"] - 2)
    store = PostgresStore(url, connections, config["database", "connection_timeout_seconds"])
    embedder = BuiltinEmbedder()
    index = ChromaIndex(config.chroma_url, config["chroma", "collection_name"], embedder.model, embedder.dimension)
    return Services(
        config=config,
        store=store,
        index=index,
        embedder=embedder,
        llm=BuiltinLlm(embedder),
        search=Search(store, index, embedder),
        feeder=Feeder(PostgresOutbox(url), embedder, index),
    )


@contextlib.asynccontextmanager
async def closing(parts: Services) -> AsyncIterator[None]:
    """Open the parts and feed the index in the background; close everything at the end."""
    await parts.store.open()
    feeding = asyncio.create_task(parts.feeder.run())
    try:
        yield
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding
        await parts.index.close()
        await parts.embedder.close()
        await parts.store.close()
