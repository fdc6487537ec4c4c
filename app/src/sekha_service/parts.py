"""Putting the service together from its configuration."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from .config import Config
from .embed.choose import make_embedder
from .feeder import Feeder
from .http.services import Services
from .index import Index
from .index.chroma import ChromaIndex
from .index.embedded import EmbeddedIndex
from .keys import KeyRefresher, KeyRing
from .llm.choose import make_llm
from .recall import Recall
from .search import Search
from .store import Outbox, Store
from .store.postgres import PostgresStore
from .store.postgres_outbox import PostgresOutbox
from .store.sqlite import SqliteStore
from .store.sqlite_file import is_sqlite, path_of
from .store.sqlite_outbox import SqliteOutbox


def make(config: Config) -> Services:
    """The service's parts, not yet open. Of each worker's share of the connections, two are for outbox and health."""
    store, outbox = _database(config)
    embedder = make_embedder(config)
    index: Index
    if config["chroma", "mode"] == "embedded" and isinstance(store, SqliteStore):
        index = EmbeddedIndex(store, embedder.model, embedder.dimension)
    else:
        index = ChromaIndex(config.chroma_url, config["chroma", "collection_name"], embedder.model, embedder.dimension)
    search = Search(store, index, embedder)
    return Services(
        config=config,
        store=store,
        keys=KeyRing(config.api_keys, config["server", "api_key_hashes"]),
        index=index,
        embedder=embedder,
        llm=make_llm(config, embedder),
        search=search,
        recall=Recall(store, search, embedder),
        feeder=Feeder(outbox, embedder, index),
    )


def _database(config: Config) -> tuple[Store, Outbox]:
    url = config.database_url
    connections = max(1, config["database", "max_connections"] // config["server", "workers"] - 2)
    if is_sqlite(url):
        return SqliteStore(path_of(url), connections), SqliteOutbox(path_of(url))
    store = PostgresStore(url, connections, config["database", "connection_timeout_seconds"])
    return store, PostgresOutbox(url)


@contextlib.asynccontextmanager
async def closing(parts: Services) -> AsyncIterator[None]:
    """Open the parts and feed the index in the background; close everything at the end."""
    await parts.store.open()
    refresher = KeyRefresher(parts.keys, parts.store.keys)
    await refresher.refresh()
    tasks = [asyncio.create_task(parts.feeder.run()), asyncio.create_task(refresher.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await parts.index.close()
        await parts.embedder.close()
        await parts.llm.close()
        await parts.store.close()
