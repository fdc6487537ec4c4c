"""Which replica of the vector index a query goes to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import httpx
import numpy as np
import pytest
from sekha_service.errors import ProviderAwayError
from sekha_service.index.chroma import ChromaIndex
from sekha_service.index.replicas import ReplicatedIndex

FOUND = UUID(int=7)
QUESTION = np.array([0.0, 0.0, 1.0], dtype="f4")


def replica(name: str, *, gone: bool = False) -> ChromaIndex:
    """A Chroma that has one message, or none of its collections any more."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"id": f"{name}-collection"})
        if gone:
            return httpx.Response(404, json={})
        return httpx.Response(200, json={"ids": [[str(FOUND)]], "distances": [[0.5]]})

    client = httpx.AsyncClient(base_url=f"http://{name}", transport=httpx.MockTransport(answer))
    return ChromaIndex(f"http://{name}", "sekha", "model", 3, client)


class Known:
    """What the database says of who is complete, answer by answer; the last one goes on."""

    def __init__(self, *answers: Sequence[ChromaIndex]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def complete(self, names: Sequence[str]) -> dict[str, str]:
        now = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return {each.replica: await each.identity() for each in now}


def ask(index: ReplicatedIndex, times: int = 1) -> list[tuple[UUID, float]]:
    async def run() -> list[tuple[UUID, float]]:
        for _ in range(times - 1):
            with pytest.raises(ProviderAwayError):
                await index.nearest(QUESTION, 1)
        return await index.nearest(QUESTION, 1)

    return asyncio.run(run())


def test_the_first_that_is_complete_answers() -> None:
    first, second = replica("first"), replica("second")
    known = Known([second])
    assert ask(ReplicatedIndex([first, second], known.complete)) == [(FOUND, 0.5)]
    assert known.asked == 1


def test_an_emptied_one_is_passed_over() -> None:
    first, second = replica("first", gone=True), replica("second")
    assert ask(ReplicatedIndex([first, second], Known([first, second]).complete)) == [(FOUND, 0.5)]


def test_old_news_of_an_incomplete_one_is_looked_at_again() -> None:
    """The other was emptied just when this one had caught up: a second ago it was not complete."""
    first, second = replica("first", gone=True), replica("second")
    known = Known([first], [first, second])
    index = ReplicatedIndex([first, second], known.complete)
    assert ask(index, times=2) == [(FOUND, 0.5)]
    assert known.asked == 2


def test_none_complete_is_said_of_each_and_asked_once_a_request() -> None:
    known = Known([])
    with pytest.raises(ProviderAwayError, match=r"sekha at http://first is being filled; sekha at http://second"):
        ask(ReplicatedIndex([replica("first"), replica("second")], known.complete))
    assert known.asked == 1
