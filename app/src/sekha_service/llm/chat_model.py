"""What every chat model can do beside chatting: summaries and scores, by instructions."""

import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence

from ..errors import ProviderAwayError
from ..remote import Remote
from . import Chat, Completion, estimate, prompt_text

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_PERIODS = {"daily": "day", "weekly": "week", "monthly": "month"}


class ChatModel:
    """A chat model of a remote provider."""

    name: str

    def __init__(self, remote: Remote, model: str) -> None:
        self._remote = remote
        self.model = model

    @abstractmethod
    async def check(self) -> None:
        """See Llm."""

    @abstractmethod
    async def chat(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> Completion:
        """See Llm."""

    async def stream(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> AsyncIterator[str]:
        """See Llm; here for providers that don't stream: all at once."""
        given = await self.chat(messages, temperature=temperature, max_tokens=max_tokens, model=model)
        yield given.text

    async def summarize(self, texts: Sequence[str], level: str, most_words: int) -> str:
        """See Llm."""
        instruction = (
            f"Summarize this {_PERIODS[level]} of a conversation in at most {most_words} words: what was decided, what "
            "was learnt, what is open. Answer with the summary alone."
        )
        messages = [{"role": "system", "content": instruction}, {"role": "user", "content": prompt_text(texts)}]
        return (await self.chat(messages, temperature=0.3, max_tokens=most_words * 2)).text

    async def score(self, text: str) -> tuple[float, str]:
        """See Llm."""
        instruction = (
            "How important is it to remember this message? Answer with a number from 1 (not at all) to 10 (vital), "
            "then one sentence why."
        )
        messages = [{"role": "system", "content": instruction}, {"role": "user", "content": prompt_text([text])}]
        return number_and_reason((await self.chat(messages, temperature=0.0, max_tokens=100)).text)

    async def close(self) -> None:
        """See Llm."""
        await self._remote.close()


def number_and_reason(answer: str) -> tuple[float, str]:
    """The first number of an answer, and the rest of it as the reason. ProviderAwayError without a number."""
    found = _NUMBER.search(answer)
    if found is None:
        raise ProviderAwayError(f"the model gave no number: {answer[:100]!r}")
    reason = answer[found.end() :].removeprefix("/10").strip(" \n\t.:,-")
    return float(found.group()), reason or "no reason given."


def completion(messages: Chat, text: object, prompt_tokens: object, completion_tokens: object) -> Completion:
    """A Completion, with estimates where the provider counts nothing."""
    if not isinstance(text, str):
        raise ProviderAwayError("the model's answer holds no text")
    prompt = prompt_tokens if isinstance(prompt_tokens, int) else sum(estimate(m["content"]) for m in messages)
    answered = completion_tokens if isinstance(completion_tokens, int) else estimate(text)
    return Completion(text, prompt, answered)
