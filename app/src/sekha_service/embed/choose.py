"""The embedder of the configuration."""

from ..config import Config
from ..llm.choose import versioned
from ..remote import Remote
from . import Embedder
from .batching import BuiltinEmbedder
from .remote import BridgeEmbedder, OllamaEmbedder, OpenAiEmbedder


def make_embedder(config: Config) -> Embedder:
    """The Embedder that embedding.provider names. It needn't be there yet."""
    provider = config["embedding", "provider"]
    if provider == "builtin":
        return BuiltinEmbedder()
    model, dimension = config.embedding_model
    base = config["embedding", "base_url"] or config["llm", "base_url"]
    key = config["embedding", "api_key"] or config["llm", "api_key"]
    if provider == "ollama":
        return OllamaEmbedder(Remote("Ollama", base, key), model, dimension)
    if provider == "openai":
        return OpenAiEmbedder(Remote("the OpenAI-compatible API", versioned(base), key), model, dimension)
    bridge = config["embedding", "base_url"] or config["llm_bridge", "url"]
    return BridgeEmbedder(Remote("the LLM bridge", bridge, key), model, dimension)
