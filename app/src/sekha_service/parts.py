"""Putting the service together from its configuration."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from .bell import Bell
from .config import Config
from .embed import Embedder
from .embed.choose import make_embedder
from .feeder import Feeder
from .feeder_replicas import ReplicaFeeder
from .http.services import Services
from .index import Index
from .index.chroma import ChromaIndex
from .index.embedded import EmbeddedIndex
from .index.replicas import ReplicatedIndex
from .keys import KeyRefresher, KeyRing
from .llm.choose import make_llm
from .recall import Recall
from .search import Search
from .store import Outbox, Store
from .store.postgres import PostgresStore
from .store.postgres_outbox import PostgresOutbox
from .store.postgres_replicas import PostgresReplicaOutbox
from .store.sqlite import SqliteStore
from .store.sqlite_file import is_sqlite, path_of
from .store.sqlite_outbox import SqliteOutbox


def make(config: Config, bell: Bell) -> Services:
    """A worker's parts, not yet open."""
    store = _store(config)
    embedder = make_embedder(config)
    index = _index(config, store, embedder)
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
        bell=bell,
    )


def _store(config: Config) -> Store:
    """Of each worker's share of the connections, two are for health and the outbox."""
    connections = max(1, config["database", "max_connections"] // config["server", "workers"] - 2)
    if is_sqlite(config.database_url):
        return SqliteStore(path_of(config.database_url), connections)
    return PostgresStore(config.database_url, connections, config["database", "connection_timeout_seconds"])


def _index(config: Config, store: Store, embedder: Embedder) -> Index:
    if config["chroma", "mode"] == "embedded" and isinstance(store, SqliteStore):
        return EmbeddedIndex(store, embedder.model, embedder.dimension)
    urls = config.chroma_replicas or (config.chroma_url,)
    name = config["chroma", "collection_name"]
    members = [ChromaIndex(url, name, embedder.model, embedder.dimension) for url in urls]
    if config.chroma_replicas and isinstance(store, PostgresStore):
        return ReplicatedIndex(members, store.complete_replicas)
    return members[0]


def _feeder(url: str, embedder: Embedder, index: Index, bell: Bell) -> Feeder:
    if isinstance(index, ReplicatedIndex):
        return ReplicaFeeder(PostgresReplicaOutbox(url), embedder, index, bell)
    outbox: Outbox = SqliteOutbox(path_of(url)) if is_sqlite(url) else PostgresOutbox(url)
    return Feeder(outbox, embedder, index, bell)


@contextlib.asynccontextmanager
async def feeding(config: Config, bell: Bell) -> AsyncIterator[None]:
    """Feed the vector index in the background, woken by `bell`."""
    store, embedder = _store(config), make_embedder(config)
    index = _index(config, store, embedder)
    if isinstance(index, EmbeddedIndex):
        await store.open()  # it lives in the database
    task = asyncio.create_task(_feeder(config.database_url, embedder, index, bell).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await index.close()
        await embedder.close()
        await store.close()


@contextlib.asynccontextmanager
async def closing(parts: Services) -> AsyncIterator[None]:
    """Open the parts and keep the keys up to date in the background; close everything at the end."""
    await parts.store.open()
    refresher = KeyRefresher(parts.keys, parts.store.keys)
    await refresher.refresh()
    task = asyncio.create_task(refresher.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await parts.index.close()
        await parts.embedder.close()
        await parts.llm.close()
        await parts.store.close()
