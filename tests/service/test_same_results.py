"""Full text finds the same messages on PostgreSQL and SQLite."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sekha_service.model import MessageFilter, NewConversation, NewMessage
from sekha_service.store import Store
from sekha_service.store.database import migrate_schema
from sekha_service.store.postgres import PostgresStore
from sekha_service.store.sqlite import SqliteStore

from tests.service.rig import Postgres

WORDS = re.findall(
    r"\S+",
    "cat cats running runner runs database databases Postgres generalization relational hopping hoped the of and not "
    "no-one state-of-the-art don't e-mail user@example.org https://example.org/a_b?c=d /usr/lib/x86_64 3.14 -7 1e5 "
    "v2.0 snake_case CamelCase naïve café CAFÉ über straße 漢字 привет C++ C# <tag> &amp; a.b.c 10% $5 #hash "
    "2026-01-25 10:30 (brackets) [x] {y} \"quoted\" 'single' `code` sky skies dying flies agreed plastered "
    "conditional ion ss AND OR NOT to be or",
)
QUERIES = [
    "cat", "cats running", '"cat running"', "data*", "run* OR hop*", "cat NOT database", "NOT cat", "the", '"of and"',
    "no-one", "state-of-the-art", "don't", "user@example.org", "example", "a_b", "snake", "x86", "3.14", "14", "1e5",
    "v2.0", "2", "camelcase", "CAFÉ", "cafe", "über", "漢字", "привет", "c++", "amp", "sky", "skies", "2026-01-25",
    "01*", "state-o*", '"to be or"', "relat*", "general", "(cat OR database) AND running", "hash", "straße", "naïv*",
]  # fmt: skip


@pytest.fixture(scope="module")
def texts() -> list[str]:
    chance = random.Random(7)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 12))) for _ in range(400)]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as it:
        yield it


@pytest.fixture(scope="module")
def stores(
    cluster: Postgres, tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner, texts: list[str]
) -> Iterator[list[Store]]:
    path: Path = tmp_path_factory.mktemp("same") / "x.db"
    url = cluster.new_database()
    migrate_schema(url)
    migrate_schema(f"sqlite://{path}")
    both: list[Store] = [PostgresStore(url, 3, 5), SqliteStore(path, 2)]
    messages = tuple(NewMessage("user", text, None, None) for text in texts)
    for store in both:
        runner.run(store.open())
        runner.run(store.create(NewConversation("x", "/", 5, {}, messages), embed=False))
    yield both
    for store in both:
        runner.run(store.close())


def _found(runner: asyncio.Runner, store: Store, query: str, way: str = "query") -> list[str]:
    async def ask() -> Any:
        if way == "any word":
            return await store.lexical(query, MessageFilter(), 1000, 0)
        if way == "all words":
            return await store.with_all_words(query, MessageFilter(), 1000)
        return await store.full_text(query, 1000)

    return sorted(hit.message.content for hit in runner.run(ask()))


@pytest.mark.parametrize("query", QUERIES)
def test_full_text(runner: asyncio.Runner, stores: list[Store], query: str) -> None:
    postgres, sqlite = (_found(runner, store, query) for store in stores)
    assert postgres == sqlite


def test_random_queries(runner: asyncio.Runner, stores: list[Store]) -> None:
    chance = random.Random(11)
    found = 0
    for _ in range(300):
        words = chance.choices(WORDS, k=chance.randint(1, 4))
        query = " ".join(word + chance.choice(["", "", "", "*", '"']) for word in words)
        for way in ("query", "any word", "all words"):
            postgres, sqlite = (_found(runner, store, query, way) for store in stores)
            assert postgres == sqlite, query
            found += len(postgres)
    assert found > 10_000, "the queries find something"
