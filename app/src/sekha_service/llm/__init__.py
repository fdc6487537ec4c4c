"""Language models: the seam. Callers wait SECONDS at most, and have a plainer way when no model answers."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

SECONDS = 20.0  # clients give up at 30, we answer within 25
Chat = Sequence[dict[str, str]]  # {"role", "content"}


@dataclass(frozen=True)
class Completion:
    """A model's answer; the token counts are estimates where the provider gives none."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class Llm(Protocol):
    """A language model. Raises errors.ProviderAwayError when it doesn't answer."""

    name: str
    model: str  # as noted on summaries; "builtin" = none

    async def check(self) -> None:
        """Prove that it can be reached."""

    async def chat(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> Completion:
        """Continue a conversation; `model` overrides the configured one."""

    def stream(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> AsyncIterator[str]:
        """The same in pieces, as they come."""

    async def summarize(self, texts: Sequence[str], level: str, most_words: int) -> str:
        """A summary of messages (or summaries), about `most_words` long."""

    async def score(self, text: str) -> tuple[float, str]:
        """How important a text is, 1..10, and why."""

    async def close(self) -> None:
        """Give connections back."""


def prompt_text(texts: Sequence[str], most_characters: int = 24_000) -> str:
    """Texts for a prompt, each on its own; the beginning is left out where all would be too long."""
    return "\n\n".join(texts)[-most_characters:]


def estimate(text: str) -> int:
    """About how many tokens a text has."""
    return len(text) // 4
