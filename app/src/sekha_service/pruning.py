"""Which conversations could be archived: figures and a recommendation for each candidate, without any model."""

from dataclasses import dataclass
from datetime import datetime

from .store.overview import Candidate

TOKENS_PER_MESSAGE = 200
_LOW_IMPORTANCE = 5.0
_WORTH_ARCHIVING = 5000  # tokens
MOST_SUGGESTIONS = 10_000  # in one answer: clients wait 30 s


@dataclass(frozen=True)
class Suggestion:
    """A candidate with its age in whole days, estimated tokens, and `archive`, `review` or `keep` with a reason."""

    candidate: Candidate
    age_days: int
    tokens: int
    recommendation: str
    reason: str


def suggest(candidate: Candidate, now: datetime) -> Suggestion:
    """Judge a candidate at the time `now`."""
    it = candidate.conversation
    age = max(0, (now - it.updated_at).days)
    tokens = TOKENS_PER_MESSAGE * it.message_count
    if it.importance_score >= _LOW_IMPORTANCE:
        recommendation, why = "keep", "but it is important enough to keep"
    elif tokens > _WORTH_ARCHIVING:
        recommendation, why = "archive", "and archiving it takes much out of the way"
    else:
        recommendation, why = "review", "but it is small, so look at it first"
    facts = f"importance {it.importance_score:g}, about {tokens} tokens"
    return Suggestion(candidate, age, tokens, recommendation, f"Unchanged for {age} days, {facts}, {why}.")
