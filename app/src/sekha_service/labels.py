"""Labels for a conversation: a language model's proposals, else its keywords and the labels already in use."""

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import words
from .errors import ProviderAwayError
from .llm import SECONDS, Llm

MOST = 5
KNOWN = 200  # labels in use that are considered
_READ_CHARACTERS = 2000
_SURE, _UNSURE = 0.9, 0.6
_MAX_LENGTH = 60
_MARKER = re.compile(r"^\s*(?:[-*#•]+|\d+[.)])?\s*")
_log = logging.getLogger("sekha.labels")


@dataclass(frozen=True)
class Suggestion:
    """A label, how sure it is (0..1), whether it is in use already, and why it fits."""

    label: str
    confidence: float
    existing: bool
    reason: str


async def suggest(llm: Llm, texts: Sequence[str], known: Sequence[str]) -> list[Suggestion]:
    """At most five distinct labels, best first; at least one when there is any text, none otherwise."""
    text = "\n".join(texts).strip()
    if not text:
        return []
    try:
        async with asyncio.timeout(SECONDS):
            given = await llm.chat(_prompt(text[:_READ_CHARACTERS], known), temperature=0.2, max_tokens=100)
        found = from_answer(given.text, known)
        if found:
            return found
    except (ProviderAwayError, TimeoutError) as error:
        if llm.model != "builtin":
            _log.warning("labels by keywords: %s", error or "the model took too long")
    return await asyncio.to_thread(from_words, texts, known)


def _prompt(text: str, known: Sequence[str]) -> list[dict[str, str]]:
    instruction = (
        "Propose at most five short labels (one to three words) for the conversation below. Prefer labels of this "
        f"list where they fit: {', '.join(known[:50]) or 'none yet'}. Answer with the labels alone, between commas."
    )
    return [{"role": "system", "content": instruction}, {"role": "user", "content": text}]


def from_answer(answer: str, known: Sequence[str]) -> list[Suggestion]:
    """The labels in a model's answer: separated by commas or lines, without bullets, numbers and quotes."""
    in_use = {label.lower(): label for label in known}
    found: dict[str, Suggestion] = {}
    for part in re.split(r"[,\n;]", answer):
        label = _MARKER.sub("", part).strip().strip("\"'`*.").strip()
        if not label or len(label) > _MAX_LENGTH or label.lower() in found:
            continue
        existing = in_use.get(label.lower())
        reason = (
            "The language model chose it from the labels in use." if existing else "The language model proposes it."
        )
        found[label.lower()] = Suggestion(existing or label, _SURE if existing else _UNSURE, bool(existing), reason)
    return _best(list(found.values()))


def from_words(texts: Sequence[str], known: Sequence[str]) -> list[Suggestion]:
    """Labels in use whose words all occur in the text, then the text's most used words."""
    counts = words.keywords(texts, 1000)
    rank = {word: i for i, word in enumerate(counts)}
    found: dict[str, Suggestion] = {}
    for label in known:
        parts = words.words(label)
        if parts and all(part in rank for part in parts):
            found.setdefault(label.lower(), Suggestion(label, _SURE, True, "Its words occur in the conversation."))
    existing = sorted(found.values(), key=lambda each: min(rank[part] for part in words.words(each.label)))[:3]
    taken = {part for each in existing for part in words.words(each.label)}
    fresh = [
        Suggestion(word.capitalize(), _UNSURE, False, f"The conversation often speaks of {word}.")
        for word in counts
        if word not in taken
    ]
    chosen = _best([*existing, *fresh[:MOST]])
    return chosen or [Suggestion("General", _UNSURE, False, "Nothing in the conversation stands out.")]


def _best(found: list[Suggestion]) -> list[Suggestion]:
    distinct = {each.label.lower(): each for each in reversed(found)}
    order = [each for each in found if distinct.get(each.label.lower()) is each]
    return sorted(order, key=lambda each: -each.confidence)[:MOST]
