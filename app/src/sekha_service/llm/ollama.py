"""Ollama's own API."""

from collections.abc import AsyncIterator
from typing import Any

import orjson

from ..errors import ProviderAwayError
from ..remote import dig
from . import SECONDS, Chat, Completion
from .chat_model import ChatModel, completion


class OllamaLlm(ChatModel):
    """POST /api/chat; GET /api/tags proves that it answers."""

    name = "ollama"

    async def check(self) -> None:
        await self._remote.call("GET", "/api/tags", seconds=SECONDS)

    async def chat(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> Completion:
        body = self._body(messages, temperature, max_tokens, model, stream=False)
        answer = await self._remote.call("POST", "/api/chat", body, seconds=SECONDS)
        text = dig(answer, "message", "content")
        return completion(messages, text, answer.get("prompt_eval_count"), answer.get("eval_count"))

    async def stream(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> AsyncIterator[str]:
        body = self._body(messages, temperature, max_tokens, model, stream=True)
        async for line in self._remote.lines("/api/chat", body, seconds=SECONDS):
            try:
                text = dig(orjson.loads(line), "message", "content")
            except orjson.JSONDecodeError:
                raise ProviderAwayError("Ollama's answer is not JSON") from None
            if text:
                yield str(text)

    def _body(
        self, messages: Chat, temperature: float, max_tokens: int, model: str | None, *, stream: bool
    ) -> dict[str, Any]:
        return {
            "model": model or self.model,
            "messages": list(messages),
            "stream": stream,
            "options": {"temperature": temperature, "num_predict": max_tokens},
        }
