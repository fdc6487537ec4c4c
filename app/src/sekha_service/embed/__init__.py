"""Embedders: text to vectors. `minilm.py` is the built-in one; `batching.py` makes it usable from the event loop."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Makes vectors of length 1; the model's name and dimension travel with them. Raises errors.ProviderAwayError."""

    model: str
    dimension: int

    async def query(self, text: str) -> Vectors:
        """The vector of a query, shape (dimension,); fast, cached."""

    async def documents(self, texts: Sequence[str]) -> Vectors:
        """The vectors of messages, shape (len(texts), dimension); in the background, never in a query's way."""

    async def check(self) -> None:
        """Prove that it works, by a real computation."""

    async def close(self) -> None:
        """Stop working threads."""
