"""The built-in provider: no language model. What would need one is done the extractive way by its callers."""

from collections.abc import AsyncIterator, Sequence

from ..embed import Embedder
from ..errors import ProviderAwayError
from . import Chat, Completion

_NO_MODEL = (
    "no chat model is configured: set llm.provider to ollama, openai or bridge, with llm.base_url and llm.model "
    "(llm_bridge.url for the bridge)"
)


class NoChatModelError(ProviderAwayError):
    """There is no chat model; the message names the keys to set."""


class BuiltinLlm:
    """Stands where a language model would; its check exercises the built-in embedding model."""

    name = "builtin"
    model = "builtin"

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def check(self) -> None:
        """Let the embedder compute."""
        await self._embedder.check()

    async def chat(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> Completion:
        """See Llm."""
        raise NoChatModelError(_NO_MODEL)

    async def stream(
        self, messages: Chat, *, temperature: float = 0.7, max_tokens: int = 2000, model: str | None = None
    ) -> AsyncIterator[str]:
        """See Llm."""
        yield (await self.chat(messages)).text

    async def summarize(self, texts: Sequence[str], level: str, most_words: int) -> str:
        """See Llm."""
        raise NoChatModelError(_NO_MODEL)

    async def score(self, text: str) -> tuple[float, str]:
        """See Llm."""
        raise NoChatModelError(_NO_MODEL)

    async def close(self) -> None:
        """See Llm."""
