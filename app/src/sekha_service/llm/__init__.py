"""Language models: the seam. Only the health check calls one yet; summaries and labels come with their endpoints."""

from typing import Protocol


class Llm(Protocol):
    """A language model. Raises errors.ProviderAwayError when it doesn't answer."""

    name: str

    async def check(self) -> None:
        """Prove that it works."""
