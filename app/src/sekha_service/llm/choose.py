"""The language model of the configuration."""

from ..config import Config
from ..embed import Embedder
from . import Llm
from .builtin import BuiltinLlm


def make_llm(config: Config, embedder: Embedder) -> Llm:
    """The Llm that llm.provider names."""
    return BuiltinLlm(embedder)
