"""The service's settings: typed, with defaults and checks. Where values come from is config_sources.py's job."""

import ipaddress
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MIN_KEY_LENGTH = 32
LOG_LEVELS = ("trace", "debug", "info", "warn", "error")
PRIVATE_NETWORKS = (
    "127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10",
)  # fmt: skip


class ConfigError(Exception):
    """The configuration can't be used; the message names key, value and remedy."""


@dataclass(frozen=True)
class Key:
    """One key of the configuration: its type, default, and an optional check that returns what is wrong (or None)."""

    kind: type
    default: Any
    check: Callable[[Any], str | None] | None = None


def _between(low: float, high: float) -> Callable[[Any], str | None]:
    return lambda value: None if low <= value <= high else f"must be between {low:g} and {high:g}"


def _one_of(*allowed: str) -> Callable[[Any], str | None]:
    return lambda value: None if value in allowed else "must be one of " + ", ".join(allowed)


def _long_key(value: str) -> str | None:
    return None if not value or len(value) >= MIN_KEY_LENGTH else f"must have at least {MIN_KEY_LENGTH} characters"


def _long_keys(values: list[str]) -> str | None:
    return next(filter(None, (_long_key(v) or (None if v else "must hold no empty key") for v in values)), None)


def _hashes(values: list[str]) -> str | None:
    for value in values:
        scheme, _, digest = value.partition(":")
        if scheme != "sha256" or len(digest) != 64 or any(c not in "0123456789abcdef" for c in digest.lower()):
            return f"holds {value[:80]!r}; write sha256: and the key's SHA-256 in 64 hex digits"
    return None


def _networks(values: list[str]) -> str | None:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            return f"holds {value!r}, which is not a network in CIDR notation ({error})"
    return None


def _database_url(value: str) -> str | None:
    if not value or urlsplit(value).scheme in ("postgresql", "postgres"):
        return None
    return "must begin with postgresql:// (SQLite is not available in this version)"


def _http_url(value: str) -> str | None:
    parts = urlsplit(value)
    return None if not value or (parts.scheme in ("http", "https") and parts.netloc) else "must be an http(s):// URL"


SCHEMA: dict[str, dict[str, Key]] = {
    "server": {
        "host": Key(str, "127.0.0.1"),
        "port": Key(int, 8080, _between(1, 65535)),
        "workers": Key(int, 1, _between(1, 64)),
        "api_key": Key(str, "", _long_key),
        "api_key_hashes": Key(list, (), _hashes),
        "mcp_api_key": Key(str, "", _long_key),
        "rest_api_key": Key(str, "", _long_key),
        "additional_api_keys": Key(list, (), _long_keys),
        "drain_seconds": Key(float, 0.0, _between(0, 300)),
        "trusted_proxies": Key(list, PRIVATE_NETWORKS, _networks),
    },
    "database": {
        "url": Key(str, "", _database_url),
        "max_connections": Key(int, 10, _between(3, 1000)),
        "connection_timeout_seconds": Key(int, 30, _between(1, 300)),
    },
    "chroma": {
        "host": Key(str, "localhost"),
        "port": Key(int, 8000, _between(1, 65535)),
        "url": Key(str, "", _http_url),
        "collection_name": Key(str, "sekha_embeddings"),
        "mode": Key(str, "http", _one_of("http")),
    },
    "llm": {"provider": Key(str, "builtin", _one_of("builtin"))},
    "embedding": {"provider": Key(str, "builtin", _one_of("builtin"))},
    "rate_limiting": {
        "enabled": Key(bool, True),
        "requests_per_second": Key(float, 100.0, _between(0.001, 1e6)),
        "burst_size": Key(int, 200, _between(1, 1_000_000)),
    },
    "logging": {
        "level": Key(str, "info", _one_of(*LOG_LEVELS)),
        "format": Key(str, "json", _one_of("json", "text", "pretty")),
        "file": Key(str, ""),
    },
    "security": {
        "cors_allowed_origins": Key(list, ()),
        "max_request_size_mb": Key(float, 10.0, _between(0.001, 1024)),
    },
    "features": {"auto_embed": Key(bool, True)},
}


def convert(name: str, key: Key, value: object) -> Any:
    """`value` (from TOML, or text from the environment) as the key's type, checked; else ConfigError naming it."""
    try:
        result = _CONVERTERS[key.kind](value)
    except (TypeError, ValueError):
        shown = "(hidden)" if "key" in name else repr(value)[:100]
        raise ConfigError(f"{name} = {shown}: must be {_NAMES[key.kind]}") from None
    if name in ("logging.level", "logging.format"):
        result = {"warning": "warn"}.get(result.lower(), result.lower())
    wrong = key.check(result) if key.check else None
    if wrong:
        shown = "(hidden)" if "key" in name else repr(value)[:100]
        raise ConfigError(f"{name} = {shown}: {wrong}")
    return result


def _to_str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _to_int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _to_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _to_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise TypeError
    return {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}[
        value.lower()
    ]


def _bool_or_value_error(value: object) -> bool:
    try:
        return _to_bool(value)
    except KeyError:
        raise ValueError from None


def _to_list(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise TypeError
    return tuple(value)


_CONVERTERS: dict[type, Callable[[object], Any]] = {
    str: _to_str, int: _to_int, float: _to_float, bool: _bool_or_value_error, list: _to_list,
}  # fmt: skip
_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list of texts"}


@dataclass(frozen=True)
class Config:
    """All settings, by section and key: `config["server", "port"]`; the derived ones are properties."""

    values: Mapping[tuple[str, str], Any]

    def __getitem__(self, key: tuple[str, str]) -> Any:
        return self.values[key]

    @property
    def api_keys(self) -> tuple[str, ...]:
        """Every key configured in plain text, in one union for REST and MCP."""
        single = (self["server", name] for name in ("api_key", "mcp_api_key", "rest_api_key"))
        return tuple(key for key in (*single, *self["server", "additional_api_keys"]) if key)

    @property
    def chroma_url(self) -> str:
        """Base URL of Chroma's HTTP API, without a trailing slash."""
        url: str = self["chroma", "url"] or f"http://{self['chroma', 'host']}:{self['chroma', 'port']}"
        return url.rstrip("/")

    @property
    def log_file(self) -> Path | None:
        """The log file, if any besides stdout."""
        return Path(self["logging", "file"]) if self["logging", "file"] else None


def build(values: Mapping[tuple[str, str], Any]) -> Config:
    """A checked Config of `values` (section, key) over the defaults. Raises ConfigError."""
    merged: dict[tuple[str, str], Any] = {
        (section, name): key.default for section, keys in SCHEMA.items() for name, key in keys.items()
    }
    merged.update(
        {(s, k): convert(f"{s}.{k}", SCHEMA[s][k], value) for (s, k), value in values.items()},
    )
    config = Config(merged)
    if not config.api_keys and not config["server", "api_key_hashes"]:
        raise ConfigError(
            "server.api_key is not set: set server.api_key (at least 32 characters), server.api_key_hashes, "
            "or the environment variable SEKHA_API_KEY"
        )
    if not config["database", "url"]:
        raise ConfigError("database.url is not set: write postgresql://USER@HOST/DATABASE")
    return config
