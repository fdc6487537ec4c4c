"""How important a message is: a fixed heuristic, and its mixture with a language model's opinion."""

import asyncio
import logging
from typing import Final

from .errors import ProviderAwayError
from .llm import SECONDS, Llm

KEYWORDS: Final = ("critical", "important", "urgent", "decision")
LOW, HIGH = 1.0, 10.0
_HEURISTIC_SHARE = 0.3
_LLM_SHARE = 0.7
_log = logging.getLogger("sekha.scores")


async def score(llm: Llm, content: str) -> tuple[float, dict[str, float], str]:
    """(score 1..10, factors, reasoning); the heuristic alone while no model answers."""
    parts = factors(content)
    plain = heuristic(parts)
    try:
        async with asyncio.timeout(SECONDS):
            opinion, why = await llm.score(content)
    except (ProviderAwayError, TimeoutError) as error:
        if llm.model != "builtin":
            _log.warning("score by the heuristic alone: %s", error or "the model took too long")
        return plain, parts, reasoning(parts)
    opinion = clamp(opinion)
    return mixed(plain, opinion), {**parts, "llm": opinion}, f"{reasoning(parts)} The model says {opinion:g}: {why}"


def factors(content: str) -> dict[str, float]:
    """What speaks for a message: 5 to begin with, more for length, code, a question, and telling words."""
    lowered = content.lower()
    return {
        "base": 5.0,
        "length": 1.0 if len(content) > 100 else 0.0,
        "code": 2.0 if content.count("```") >= 2 else 0.0,
        "question": 0.5 if content.rstrip().endswith("?") else 0.0,
        "keywords": float(sum(word in lowered for word in KEYWORDS)),
    }


def heuristic(parts: dict[str, float]) -> float:
    """The factors' sum, within 1..10."""
    return clamp(sum(parts.values()))


def mixed(plain: float, opinion: float) -> float:
    """0.3 of the heuristic and 0.7 of the model's score, within 1..10."""
    return clamp(_HEURISTIC_SHARE * plain + _LLM_SHARE * opinion)


def clamp(score: float) -> float:
    """`score` within 1..10."""
    return min(HIGH, max(LOW, score))


def reasoning(parts: dict[str, float]) -> str:
    """The factors in a sentence."""
    found = [f"{name} +{value:g}" for name, value in parts.items() if name != "base" and value]
    return f"Starts at {parts['base']:g}" + (": " + ", ".join(found) if found else "; nothing raises it") + "."
