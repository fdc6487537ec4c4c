"""The language model of the configuration."""

from ..config import Config
from ..embed import Embedder
from ..remote import Remote
from . import Llm
from .builtin import BuiltinLlm
from .ollama import OllamaLlm
from .openai import BridgeLlm, OpenAiLlm


def make_llm(config: Config, embedder: Embedder) -> Llm:
    """The Llm that llm.provider names. It needn't be there yet."""
    provider, model = config["llm", "provider"], config["llm", "model"]
    base, key = config["llm", "base_url"], config["llm", "api_key"]
    if provider == "ollama":
        return OllamaLlm(Remote("Ollama", base, key), model)
    if provider == "openai":
        return OpenAiLlm(Remote("the OpenAI-compatible API", versioned(base), key), model)
    if provider == "bridge":
        return BridgeLlm(Remote("the LLM bridge", config["llm_bridge", "url"], key), model)
    return BuiltinLlm(embedder)


def versioned(base_url: str) -> str:
    """The base URL of an OpenAI-compatible API, with the version it ends in; /v1 is added where none is given."""
    base = base_url.rstrip("/")
    return base if base.rpartition("/")[2].startswith("v") else f"{base}/v1"
