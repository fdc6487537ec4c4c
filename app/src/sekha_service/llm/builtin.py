"""The built-in provider: no language model; what the service offers in its place is its own embedding model."""

from ..embed import Embedder


class BuiltinLlm:
    """Stands where a bridge to language models would; its check exercises the built-in model."""

    name = "builtin"

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def check(self) -> None:
        """Let the embedder compute."""
        await self._embedder.check()
