"""Filling a database and its collection fast: COPY, and large batches of generated vectors."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from sekha_service.embed.minilm import MODEL, MiniLM
from sekha_service.index.chroma import ChromaIndex
from sekha_service.store import OutboxItem

from .texts import Texts

_BATCH = 500  # larger ones take Chroma longer than our client waits, on a busy machine
COLLECTION = "bench"
_TOKENS = 43  # about, of a message of 25 words
_START = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Size:
    """How much is stored: conversations, messages in each, and how many of the messages have a vector."""

    conversations: int
    messages: int = 10
    vectors: int = 100_000


def ids(size: Size) -> list[UUID]:
    """The ids of the conversations."""
    return [_uuid(i, 0) for i in range(size.conversations)]


def fill(database: str, chroma_port: int, size: Size) -> None:
    """Store `size`. Vectors are random directions, spread over the conversations."""
    started = time.monotonic()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP INDEX messages_search")
        _copy(
            connection,
            "conversations (id, label, folder, word_count, message_count, token_count, created_at, updated_at)",
            _conversations(size),
            ["uuid", "text", "text", "int4", "int4", "int8", "timestamptz", "timestamptz"],
        )
        _copy(
            connection,
            'messages (id, conversation_id, seq, role, content, "timestamp")',
            _messages(size),
            ["uuid", "uuid", "int4", "text", "text", "timestamptz"],
        )
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("CREATE INDEX messages_search ON messages USING gin (search)")
        _say(f"{size.conversations} conversations copied in {time.monotonic() - started:.0f} s")
        asyncio.run(_vectors(connection, chroma_port, size))
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    _say(f"stored in {time.monotonic() - started:.0f} s")


def _uuid(conversation: int, message: int) -> UUID:
    """Ids spread like random ones: message 0 is the conversation itself."""
    return UUID(int=random.Random(conversation * 1009 + message).getrandbits(128), version=4)


def _at(conversation: int) -> datetime:
    return _START + timedelta(seconds=conversation * 60)


def _conversations(size: Size) -> Iterator[tuple[Any, ...]]:
    texts, n = Texts(1), size.messages
    for i in range(size.conversations):
        yield _uuid(i, 0), texts.text(4), f"/bench/{i % 50}", n * 25, n, n * _TOKENS, _at(i), _at(i)


def _messages(size: Size) -> Iterator[tuple[Any, ...]]:
    texts = Texts(2)
    for i in range(size.conversations):
        conversation = _uuid(i, 0)
        for j in range(size.messages):
            role = ("user", "assistant")[j % 2]
            yield _uuid(i, j + 1), conversation, j, role, texts.text(25), _at(i) + timedelta(seconds=j)


def _copy(connection: psycopg.Connection[Any], into: str, rows: Iterator[tuple[Any, ...]], types: list[str]) -> None:
    with connection.cursor().copy(f"COPY {into} FROM STDIN (FORMAT BINARY)".encode()) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


async def _vectors(connection: psycopg.Connection[Any], chroma_port: int, size: Size) -> None:
    index = ChromaIndex(f"http://127.0.0.1:{chroma_port}", COLLECTION, MODEL, MiniLM.dimension)
    name, identity = await index.collection()
    connection.execute("DELETE FROM vector_index_state")
    connection.execute("INSERT INTO vector_index_state VALUES (%s, %s, %s)", [name, identity, MODEL])
    total = min(size.vectors, size.conversations * size.messages)
    generator = np.random.default_rng(3)
    started = time.monotonic()
    for start in range(0, total, _BATCH):
        numbers = range(start, min(start + _BATCH, total))
        vectors = generator.standard_normal((len(numbers), MiniLM.dimension), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = []
        for number, vector in zip(numbers, vectors, strict=True):
            conversation, message = number % size.conversations, number // size.conversations
            rows.append(OutboxItem(0, _uuid(conversation, message + 1), _uuid(conversation, 0), vector.tobytes()))
        _copy(
            connection,
            "embeddings (message_id, model, dim, vector)",
            ((row.message_id, MODEL, MiniLM.dimension, row.vector) for row in rows),
            ["uuid", "text", "int4", "bytea"],
        )
        await index.apply(rows)
        if sys.stderr.isatty() or not start % 20_000:
            _say(f"{numbers.stop} of {total} vectors, {numbers.stop / (time.monotonic() - started):.0f} a second")
    await index.close()


def _say(text: str) -> None:
    print(f"bench-service: {text}", file=sys.stderr, flush=True)
