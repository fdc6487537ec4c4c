"""Summaries of a conversation, by level: what is summarised, by whom, and what is kept of it."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from . import words
from .errors import ProviderAwayError
from .llm import SECONDS, Llm
from .store import Store
from .store.memories import Summary

NOTHING = "No messages to summarize"
BUILTIN = "builtin"
_log = logging.getLogger("sekha.summaries")


@dataclass(frozen=True)
class Level:
    """How far back a summary looks, in days; about how many words it has; the level whose summaries it reads."""

    days: int
    words: int
    reads: str | None


LEVELS: Final = {
    "daily": Level(1, 200, None),
    "weekly": Level(7, 500, "daily"),
    "monthly": Level(30, 1000, "weekly"),
}


@dataclass(frozen=True)
class Made:
    """A summary, and of how many messages (or summaries) it was made."""

    summary: Summary
    sources: int


async def summarize(store: Store, llm: Llm, conversation_id: UUID, level: str) -> Made | None:
    """Make and store a summary; None for an unknown conversation. One call of the model at most."""
    now = datetime.now(UTC)
    texts = await _sources(store, conversation_id, level, now)
    if texts is None:
        return None
    text, model = NOTHING, BUILTIN
    if texts:
        text, model = await condense(llm, texts, level)
    made = Summary(uuid4(), conversation_id, level, text, now, model, len(text) // 4)
    if texts:
        await store.add_summary(made)
    return Made(made, len(texts))


async def condense(llm: Llm, texts: Sequence[str], level: str) -> tuple[str, str]:
    """(summary, name of the model): the model's, or, when it gives none in time, the most telling sentences."""
    try:
        async with asyncio.timeout(SECONDS):
            text = (await llm.summarize(texts, level, LEVELS[level].words)).strip()
        if text:
            return text, llm.model
    except (ProviderAwayError, TimeoutError) as error:
        if llm.model != BUILTIN:
            _log.warning("summary by sentences: %s", error or "the model took too long")
    return await asyncio.to_thread(words.summary, texts, LEVELS[level].words) or NOTHING, BUILTIN


async def _sources(store: Store, conversation_id: UUID, level: str, now: datetime) -> list[str] | None:
    """The texts to summarise: stored summaries of the level below, else of the next below, else the day's messages."""
    messages = await store.messages_since(conversation_id, now - timedelta(days=1))
    if messages is None:
        return None
    reading: str | None = level
    while reading and (below := LEVELS[reading].reads):
        stored = await store.summaries(conversation_id, below, now - timedelta(days=LEVELS[reading].days))
        # One a day: a summary asked for again replaces the one before.
        latest = {summary.generated_at.date(): summary.text for summary in stored}
        if latest:
            return list(latest.values())
        reading = below
    return [message.content for message in messages if message.content.strip()]
