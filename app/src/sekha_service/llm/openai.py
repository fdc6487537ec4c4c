"""The OpenAI-compatible API, and sekha-llm-bridge, whose chat has the same shape."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from ..errors import ProviderAwayError
from ..remote import dig
from . import SECONDS, Chat, Completion, prompt_text
from .chat_model import ChatModel, completion


class OpenAiLlm(ChatModel):
    """POST /chat/completions below the base URL; GET /models proves that it answers."""

    name = "openai"
    _chat_path = "/chat/completions"

    async def check(self) -> None:
        await self._remote.call("GET", "/models", seconds=SECONDS)

    async def chat(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> Completion:
        body = self._body(messages, temperature, max_tokens, model, stream=False)
        answer = await self._remote.call("POST", self._chat_path, body, seconds=SECONDS)
        usage = answer.get("usage") if isinstance(answer, dict) else None
        counts = usage if isinstance(usage, dict) else {}
        text = dig(answer, "choices", 0, "message", "content")
        return completion(messages, text, counts.get("prompt_tokens"), counts.get("completion_tokens"))

    async def stream(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> AsyncIterator[str]:
        body = self._body(messages, temperature, max_tokens, model, stream=True)
        async for line in self._remote.lines(self._chat_path, body, seconds=SECONDS):
            data = line.removeprefix("data:").strip()
            if data == "[DONE]":
                return
            if not line.startswith("data:"):
                continue
            try:
                choices = orjson.loads(data).get("choices") or [{}]
            except (orjson.JSONDecodeError, AttributeError):
                raise ProviderAwayError("the model's stream is not JSON") from None
            text = (choices[0].get("delta") or {}).get("content")
            if text:
                yield str(text)

    def _body(
        self, messages: Chat, temperature: float, max_tokens: int, model: str | None, *, stream: bool
    ) -> dict[str, Any]:
        return {
            "model": model or self.model,
            "messages": list(messages),
            "temperature": temperature,
            "max_tokens": max_tokens,
            "stream": stream,
        }


class BridgeLlm(OpenAiLlm):
    """sekha-llm-bridge: its own calls for summaries and scores. It doesn't stream: a stream comes all at once."""

    name = "bridge"
    _chat_path = "/v1/chat/completions"

    async def check(self) -> None:
        await self._remote.call("GET", "/health", seconds=SECONDS)

    async def stream(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> AsyncIterator[str]:
        given = await self.chat(messages, temperature=temperature, max_tokens=max_tokens, model=model)
        yield given.text

    async def summarize(self, texts: Sequence[str], level: str, most_words: int) -> str:
        body = {"messages": list(texts), "level": level, "max_words": most_words, "model": self.model}
        return str(dig(await self._remote.call("POST", "/summarize", body, seconds=SECONDS), "summary"))

    async def score(self, text: str) -> tuple[float, str]:
        body = {"conversation": prompt_text([text]), "model": self.model}
        answer = await self._remote.call("POST", "/score", body, seconds=SECONDS)
        try:
            return float(dig(answer, "score")), str(answer.get("reasoning") or "no reason given.")
        except (TypeError, ValueError):
            raise ProviderAwayError("the bridge's score is no number") from None
