"""The service's settings: typed, with defaults and checks. Where values come from is config_sources.py's job."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config_keys import DIMENSIONS, EMBEDDING_MODELS, SCHEMA, Key


class ConfigError(Exception):
    """The configuration can't be used; the message names key, value and remedy."""


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
    def database_url(self) -> str:
        """`postgresql://...`, or `sqlite://PATH` (from database.path unless database.url is set)."""
        url: str = self["database", "url"] or f"sqlite://{self['database', 'path']}"
        return url

    @property
    def has_keys(self) -> bool:
        """Whether a key is configured; without one, there must be one in the database."""
        return bool(self.api_keys or self["server", "api_key_hashes"])

    @property
    def embedding_model(self) -> tuple[str, int]:
        """The remote embedding model and its dimension (0 = not known)."""
        provider = self["embedding", "provider"]
        model: str = self["embedding", "model"] or self["llm", "embedding_model"] or EMBEDDING_MODELS.get(provider, "")
        return model, self["embedding", "dimension"] or DIMENSIONS.get(model.removesuffix(":latest"), 0)

    @property
    def chroma_url(self) -> str:
        """Base URL of Chroma's HTTP API, without a trailing slash."""
        url: str = self["chroma", "url"] or f"http://{self['chroma', 'host']}:{self['chroma', 'port']}"
        return url.rstrip("/")

    @property
    def chroma_replicas(self) -> tuple[str, ...]:
        """Base URLs of Chroma's replicas, the preferred one first; empty when there is one Chroma."""
        return tuple(url.rstrip("/") for url in self["chroma", "replicas"])

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
    model, dimension = config.embedding_model
    if config["embedding", "provider"] != "builtin" and not dimension:
        raise ConfigError(f"embedding.dimension is not set: write how many numbers a vector of {model} has")
    if not config["database", "url"] and not config["database", "path"].strip():
        raise ConfigError("database.path is empty: write the path of a file, or set database.url")
    if config.chroma_replicas and config.database_url.startswith("sqlite://"):
        raise ConfigError("chroma.replicas: works with PostgreSQL only; with SQLite set chroma.url")
    if config["chroma", "mode"] == "embedded" and not config.database_url.startswith("sqlite://"):
        raise ConfigError("chroma.mode = 'embedded': works with SQLite only; with PostgreSQL run Chroma and set 'http'")
    return config
