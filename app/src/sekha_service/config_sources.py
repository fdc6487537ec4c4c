"""Where settings come from, later wins: files, environment, command line. Knows the older spellings of keys."""

import os
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .config import Config, ConfigError, build
from .config_keys import SCHEMA

Values = dict[tuple[str, str], Any]

# Flat names of the upstream controller, as top-level TOML keys and after SEKHA_ in the environment.
FLAT = {
    "server_host": ("server", "host"),
    "server_port": ("server", "port"),
    "mcp_api_key": ("server", "mcp_api_key"),
    "rest_api_key": ("server", "rest_api_key"),
    "additional_api_keys": ("server", "additional_api_keys"),
    "api_key": ("server", "api_key"),
    "database_url": ("database", "url"),
    "max_connections": ("database", "max_connections"),
    "chroma_url": ("chroma", "url"),
    "ollama_url": ("llm", "base_url"),
    "llm_bridge_url": ("llm_bridge", "url"),
    "summarization_model": ("llm", "model"),
    "embedding_model": ("embedding", "model"),
    "summarization_enabled": ("features", "summarization_enabled"),
    "pruning_enabled": ("features", "pruning_enabled"),
    "log_level": ("logging", "level"),
    "rate_limit_per_minute": ("rate_limiting", "requests_per_second"),
    "cors_enabled": ("security", "cors_allowed_origins"),
}


def load(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[tuple[str, str], Any],
    search: Sequence[Path] = (),
) -> tuple[Config, list[str]]:
    """Read and merge all sources. `path` is the --config file; without it the existing files of `search` are read.

    Returns the checked configuration and warnings (unknown keys, readable secrets). Raises ConfigError.
    """
    values: Values = {}
    warnings: list[str] = []
    files = [path] if path else [candidate for candidate in search if candidate.is_file()]
    for file in files:
        values.update(_read_file(file, warnings))
    values.update(_read_environment(environ, warnings))
    if ("logging", "level") not in values and environ.get("RUST_LOG"):
        first = environ["RUST_LOG"].split(",")[0].split("=")[-1].strip().lower()
        if first in ("trace", "debug", "info", "warn", "error"):
            values["logging", "level"] = first
    values.update(overrides)
    if values.get(("server", "mcp_api_key")) and not values.get(("server", "api_key")):
        values["server", "api_key"] = values["server", "mcp_api_key"]
    return build(values), warnings


def _read_file(path: Path, warnings: list[str]) -> Values:
    try:
        text = path.read_text(encoding="utf-8")
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error}") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    values: Values = {}
    for name, content in document.items():
        if isinstance(content, dict) and name in SCHEMA:
            for key, value in content.items():
                if key in SCHEMA[name]:
                    values[name, key] = value
                else:
                    warnings.append(f"{path}: unknown key {name}.{key} is ignored")
        elif name in FLAT and not isinstance(content, dict):
            section, key = FLAT[name]
            values[section, key] = _translate(name, content)
        else:
            warnings.append(f"{path}: unknown {'section' if isinstance(content, dict) else 'key'} {name} is ignored")
    secrets = any("api_key" in key and "hashes" not in key for _, key in values)
    if secrets and mode & 0o077:
        warnings.append(f"{path} holds secrets and is readable by others (mode {mode:04o}): chmod 600 {path}")
    return values


def _read_environment(environ: Mapping[str, str], warnings: list[str]) -> Values:
    values: Values = {}
    for variable, text in sorted(environ.items(), key=lambda item: "__" in item[0]):
        if not variable.upper().startswith("SEKHA_") or not text:
            continue
        name = variable.upper().removeprefix("SEKHA_").lstrip("_").lower()
        target = FLAT.get(name) or _section_and_key(name)
        if target:
            values[target] = _translate(name, text) if name in FLAT else text
        elif variable.upper().startswith("SEKHA__"):
            warnings.append(f"environment variable {variable} names no known key and is ignored")
    return values


def _section_and_key(name: str) -> tuple[str, str] | None:
    for section, keys in SCHEMA.items():
        for separator in ("__", "_"):
            key = name.removeprefix(section + separator)
            if key != name and key in keys:
                return section, key
    return None


def _translate(name: str, value: Any) -> Any:
    """Values of flat names whose unit differs from the key's."""
    if name == "rate_limit_per_minute":
        try:
            return float(value) / 60
        except (TypeError, ValueError):
            raise ConfigError(f"rate_limit_per_minute = {value!r}: must be a number") from None
    if name == "cors_enabled":
        return ["*"] if str(value).lower() in ("true", "1", "yes", "on") else []
    return value


def default_search() -> list[Path]:
    """The files read when --config is absent."""
    home = os.environ.get("HOME")
    return [Path("config.toml"), *([Path(home) / ".sekha" / "config.toml"] if home else [])]
