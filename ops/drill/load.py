"""Writing through the real SDK, and remembering what was acknowledged when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ops.engine import OperatorError

WRITERS = 4
FOLDER = "/drill"
ANSWERED_WITHIN = 2.0  # seconds after the cut: an answer on its way counts
SEARCHABLE_WITHIN = 120.0  # seconds until the probes are found by meaning before the loss
MEANT = 0.99  # similarity of a text to itself; a search by words, while the index is away or new, scores below 0.5
TOPICS = (
    "Sumatran coffee beans make a heavy dark roast",
    "The violin concerto ends with a long cadenza",
    "Glaciers in Patagonia lose ice faster every year",
    "Her sourdough starter needs feeding twice a day",
    "The bicycle's rear derailleur skips in third gear",
    "Octopuses solve mazes and open jars",
    "The mortgage rate is fixed for ten years",
    "Tomato seedlings want warmth and light",
)


@dataclass(frozen=True)
class Ack:
    """A conversation whose creation was acknowledged, at a Unix time."""

    id: str
    at: float


@dataclass
class Writers:
    """`acks` so far; `failed` says how the writers ended."""

    acks: list[Ack] = field(default_factory=list)
    failed: str = ""


def conversation(text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": f"Noted: {text}"}]
    return {"label": "drill", "folder": FOLDER, "messages": messages}


def client(url: str, key: str) -> Any:
    from sekha import MemoryController
    from sekha.types import ClientConfig

    return MemoryController(ClientConfig(api_key=key, base_url=url))


async def write(url: str, key: str, writers: Writers, stop: Callable[[], bool]) -> None:
    """WRITERS clients create conversations until `stop()`; what nobody answers then is not waited for."""

    async def one(number: int) -> None:
        async with client(url, key) as sekha:
            made = 0
            while not stop():
                made += 1
                try:
                    text = f"writer {number} notes entry {made} about nothing in particular"
                    answer = await sekha.create_conversation(conversation(text))
                except Exception as error:
                    writers.failed = type(error).__name__
                    await asyncio.sleep(0.05)
                else:
                    writers.acks.append(Ack(answer["id"], time.time()))

    async def end() -> None:
        while not stop():
            await asyncio.sleep(0.1)
        await asyncio.sleep(ANSWERED_WITHIN)
        for task in tasks:
            task.cancel()

    tasks = [asyncio.create_task(one(number)) for number in range(WRITERS)]
    await asyncio.gather(end(), *tasks, return_exceptions=True)


async def probe(url: str, key: str, create: bool, within: float = SEARCHABLE_WITHIN) -> list[tuple[str, float]]:
    """For each topic the best hit as (its content, score to 3 digits), once all are found by meaning.

    Raises OperatorError when they are not found in `within` seconds, with what was found instead.
    """
    async with client(url, key) as sekha:
        for topic in TOPICS if create else ():
            await sekha.create_conversation(conversation(topic))
        end = time.monotonic() + within
        while True:
            best = []
            for topic in TOPICS:
                hits = (await sekha.query(topic, limit=3))["results"]
                best.append((hits[0]["content"], round(hits[0]["score"], 3)) if hits else ("", 0.0))
            missed = not_by_meaning(best)
            if not missed:
                return best
            if time.monotonic() > end:
                raise OperatorError(f"after {within:g} s the search does not find by meaning: {'; '.join(missed)}")
            await asyncio.sleep(0.5)


def not_by_meaning(best: Sequence[tuple[str, float]]) -> list[str]:
    """The topics whose best hit is another text, or was found by its words alone; each with what was found."""
    return [
        f"{topic!r} (found {content[:50]!r}, {score:g})"
        for topic, (content, score) in zip(TOPICS, best, strict=True)
        if content != topic or score < MEANT
    ]


async def create_one(url: str, key: str) -> Ack:
    """One write, as of somebody who is alone."""
    async with client(url, key) as sekha:
        answer = await sekha.create_conversation(conversation("a single entry on a quiet evening"))
        return Ack(answer["id"], time.time())
