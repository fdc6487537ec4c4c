"""Every setting the service knows: type, default, and the check of its value."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MIN_KEY_LENGTH = 32
LOG_LEVELS = ("trace", "debug", "info", "warn", "error")
PRIVATE_NETWORKS = (
    "127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10",
)  # fmt: skip


@dataclass(frozen=True)
class Key:
    """One key of the configuration: its type, default, and an optional check that returns what is wrong (or None)."""

    kind: type
    default: Any
    check: Callable[[Any], str | None] | None = None


def between(low: float, high: float) -> Callable[[Any], str | None]:
    return lambda value: None if low <= value <= high else f"must be between {low:g} and {high:g}"


def one_of(*allowed: str) -> Callable[[Any], str | None]:
    return lambda value: None if value in allowed else "must be one of " + ", ".join(allowed)


def long_key(value: str) -> str | None:
    return None if not value or len(value) >= MIN_KEY_LENGTH else f"must have at least {MIN_KEY_LENGTH} characters"


def long_keys(values: list[str]) -> str | None:
    return next(filter(None, (long_key(v) or (None if v else "must hold no empty key") for v in values)), None)


def hashes(values: list[str]) -> str | None:
    for value in values:
        scheme, _, digest = value.partition(":")
        if scheme != "sha256" or len(digest) != 64 or any(c not in "0123456789abcdef" for c in digest.lower()):
            return f"holds {value[:80]!r}; write sha256: and the key's SHA-256 in 64 hex digits"
    return None


def networks(values: list[str]) -> str | None:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            return f"holds {value!r}, which is not a network in CIDR notation ({error})"
    return None


def database_url(value: str) -> str | None:
    if not value or urlsplit(value).scheme in ("postgresql", "postgres"):
        return None
    if value.startswith("sqlite://") and value.removeprefix("sqlite://").partition("?")[0].strip("/"):
        return None
    return "must begin with postgresql:// or be sqlite://PATH"


def http_url(value: str) -> str | None:
    parts = urlsplit(value)
    return None if not value or (parts.scheme in ("http", "https") and parts.netloc) else "must be an http(s):// URL"


def http_urls(values: tuple[str, ...]) -> str | None:
    return next((f"{value!r} {wrong}" for value in values if (wrong := http_url(value) if value else "is empty")), None)


# What each provider embeds with unless told otherwise, and how long the vectors of common models are.
EMBEDDING_MODELS = {
    "ollama": "nomic-embed-text:latest",
    "bridge": "nomic-embed-text:latest",
    "openai": "text-embedding-3-small",
}
DIMENSIONS = {
    "nomic-embed-text": 768, "mxbai-embed-large": 1024, "all-minilm": 384, "bge-m3": 1024,
    "text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536,
}  # fmt: skip
PROVIDERS = ("ollama", "openai", "bridge", "builtin")
SCHEMA: dict[str, dict[str, Key]] = {
    "server": {
        "host": Key(str, "127.0.0.1"),
        "port": Key(int, 8080, between(1, 65535)),
        "workers": Key(int, 1, between(1, 64)),
        "api_key": Key(str, "", long_key),
        "api_key_hashes": Key(list, (), hashes),
        "mcp_api_key": Key(str, "", long_key),
        "rest_api_key": Key(str, "", long_key),
        "additional_api_keys": Key(list, (), long_keys),
        "drain_seconds": Key(float, 0.0, between(0, 300)),
        "trusted_proxies": Key(list, PRIVATE_NETWORKS, networks),
    },
    "database": {
        "path": Key(str, "~/.sekha/data/sekha.db"),
        "url": Key(str, "", database_url),
        "max_connections": Key(int, 10, between(3, 1000)),
        "connection_timeout_seconds": Key(int, 30, between(1, 300)),
    },
    "chroma": {
        "host": Key(str, "localhost"),
        "port": Key(int, 8000, between(1, 65535)),
        "url": Key(str, "", http_url),
        "replicas": Key(list, (), http_urls),
        "collection_name": Key(str, "sekha_embeddings"),
        "mode": Key(str, "http", one_of("http", "embedded")),
    },
    "llm": {
        "provider": Key(str, "ollama", one_of(*PROVIDERS)),
        "model": Key(str, "llama3.2:3b"),
        "base_url": Key(str, "http://localhost:11434", http_url),
        "api_key": Key(str, ""),
        "embedding_model": Key(str, ""),
    },
    "llm_bridge": {
        "url": Key(str, "http://localhost:5001", http_url),
        "timeout_secs": Key(int, 30, between(1, 300)),
    },
    "embedding": {
        "provider": Key(str, "builtin", one_of(*PROVIDERS)),
        "model": Key(str, ""),
        "dimension": Key(int, 0, between(0, 16_000)),
        "base_url": Key(str, "", http_url),
        "api_key": Key(str, ""),
    },
    "rate_limiting": {
        "enabled": Key(bool, True),
        "requests_per_second": Key(float, 100.0, between(0.001, 1e6)),
        "burst_size": Key(int, 200, between(1, 1_000_000)),
    },
    "logging": {
        "level": Key(str, "info", one_of(*LOG_LEVELS)),
        "format": Key(str, "json", one_of("json", "text", "pretty")),
        "file": Key(str, ""),
    },
    "security": {
        "cors_allowed_origins": Key(list, ()),
        "max_request_size_mb": Key(float, 10.0, between(0.001, 1024)),
    },
    "features": {
        "auto_embed": Key(bool, True),
        "summarization_enabled": Key(bool, True),
        "pruning_enabled": Key(bool, True),
        "label_suggestions": Key(bool, True),
    },
    "context": {"default_budget": Key(int, 4000, between(0, 10_000_000))},
}
