"""Texts for the benchmark: words with the frequencies of natural language (Zipf), from a fixed seed."""

from __future__ import annotations

import random

_SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
COMMON = "memory"
"""A word that every twentieth message holds."""


class Texts:
    """Endless text; the same for the same seed."""

    def __init__(self, seed: int, vocabulary: int = 20_000) -> None:
        maker = random.Random(7)
        self._words = list(dict.fromkeys("".join(maker.choices(_SYLLABLES, k=3)) for _ in range(2 * vocabulary)))
        self._words = self._words[:vocabulary]
        self._weights = [0.0]
        for rank in range(1, len(self._words) + 1):
            self._weights.append(self._weights[-1] + 1.0 / rank)
        del self._weights[0]
        self._random = random.Random(seed)

    def text(self, words: int) -> str:
        """A text of so many words."""
        chosen = self._random.choices(self._words, cum_weights=self._weights, k=words)
        if self._random.random() < 0.05:
            chosen[0] = COMMON
        return " ".join(chosen)

    def word(self, rank: int) -> str:
        """The word of this rank, 0 = the most frequent."""
        return self._words[rank]

    def conversation(self, messages: int, words: int = 25) -> dict[str, object]:
        """The body of a create."""
        return {
            "label": self.text(4),
            "folder": f"/bench/{self._random.randrange(50)}",
            "messages": [{"role": ("user", "assistant")[i % 2], "content": self.text(words)} for i in range(messages)],
        }
