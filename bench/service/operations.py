"""The operations measured: for each the requests that are sent, the same for the service and for its floor."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from .load import Request
from .texts import COMMON, Texts

_DIFFERENT = 20_000
"""Queries of a run that differ from each other: more than a run gets through, so that none is answered from a cache."""
API = "/api/v1"


@dataclass(frozen=True)
class Operation:
    """One operation: its requests by (conversation ids, seed), the share of its floor it aims at, and the seconds of a
    round: several times what a request takes when 32 clients wait.
    """

    name: str
    requests: Callable[[list[UUID], int], list[Request]]
    aim: float | None
    seconds: int = 1


def _create(_: list[UUID], seed: int) -> list[Request]:
    texts = Texts(seed)
    return [("POST", f"{API}/conversations", texts.conversation(10)) for _ in range(500)]


def _get(ids: list[UUID], seed: int) -> list[Request]:
    chosen = random.Random(seed).choices(ids, k=5000)
    return [("GET", f"{API}/conversations/{each}", None) for each in chosen]


def _one(method: str, path: str) -> Callable[[list[UUID], int], list[Request]]:
    return lambda _ids, _seed: [(method, path, None)]


def _words(rank: int) -> Callable[[list[UUID], int], list[Request]]:
    def make(_: list[UUID], seed: int) -> list[Request]:
        texts, chance = Texts(seed), random.Random(seed)
        two = [
            f"{texts.word(chance.randrange(rank, rank + 500))} {texts.word(chance.randrange(30))}" for _ in range(500)
        ]
        return [("POST", f"{API}/search/fts", {"query": each}) for each in two]

    return make


def _common(_: list[UUID], __: int) -> list[Request]:
    return [("POST", f"{API}/search/fts", {"query": COMMON})]


def _queries(path: str, different: int) -> Callable[[list[UUID], int], list[Request]]:
    def make(_: list[UUID], seed: int) -> list[Request]:
        texts = Texts(seed)
        return [("POST", f"{API}/{path}", {"query": texts.text(8)}) for _ in range(different)]

    return make


OPERATIONS = {
    it.name: it
    for it in (
        Operation("health", _one("GET", "/health"), 0.3),
        Operation("create", _create, 0.35),
        Operation("get", _get, 0.35),
        Operation("list", _one("GET", f"{API}/conversations"), 0.5),
        Operation("count", _one("GET", f"{API}/conversations/count"), 0.25),
        Operation("full text", _words(200), 0.5),
        Operation("full text, common word", _common, 0.5),
        Operation("query", _queries("query", _DIFFERENT), 0.5, 3),
        Operation("query, repeated", _queries("query", 50), None),
        Operation("context", _queries("context/assemble", _DIFFERENT), 0.5, 5),
    )
}
