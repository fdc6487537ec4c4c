"""The service's configuration: sources, spellings, refusals, warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sekha_service.config import ConfigError, build
from sekha_service.config_sources import load

KEY = "k" * 32
BASE = f'[server]\napi_key = "{KEY}"\n[database]\nurl = "postgresql:///x"\n'


def _load(tmp_path: Path, text: str = "", environ: dict[str, str] | None = None, **overrides: Any) -> Any:
    file = tmp_path / "config.toml"
    file.write_text(BASE + text)
    file.chmod(0o600)
    return load(file, environ or {}, {("server", name): value for name, value in overrides.items()})


def test_defaults(tmp_path: Path) -> None:
    config, warnings = _load(tmp_path)
    assert warnings == []
    assert (config["server", "host"], config["server", "port"], config["server", "workers"]) == ("127.0.0.1", 8080, 1)
    assert config.chroma_url == "http://localhost:8000"
    assert config.api_keys == (KEY,)
    assert config.log_file is None


@pytest.mark.parametrize(
    ("text", "environ", "key", "value"),
    [
        ("[chroma]\nport = 9", {}, ("chroma", "port"), 9),
        ("[chroma]\nport = 9", {"SEKHA_CHROMA_PORT": "10"}, ("chroma", "port"), 10),
        ("", {"SEKHA__CHROMA__PORT": "11", "SEKHA_CHROMA_PORT": "10"}, ("chroma", "port"), 11),
        ("", {"SEKHA_CHROMA_PORT": ""}, ("chroma", "port"), 8000),
        ("", {"SEKHA_API_KEY": "e" * 32}, ("server", "api_key"), "e" * 32),
        ("", {"SEKHA_SERVER_ADDITIONAL_API_KEYS": "a" * 32 + ", " + "b" * 32},
         ("server", "additional_api_keys"), ("a" * 32, "b" * 32)),
        ("", {"SEKHA_DATABASE_URL": "postgres://h/y"}, ("database", "url"), "postgres://h/y"),
        ("", {"SEKHA_RATE_LIMITING_ENABLED": "False"}, ("rate_limiting", "enabled"), False),
        ("", {"SEKHA_RATE_LIMIT_PER_MINUTE": "600"}, ("rate_limiting", "requests_per_second"), 10.0),
        ("", {"SEKHA_CORS_ENABLED": "true"}, ("security", "cors_allowed_origins"), ("*",)),
        ("", {"SEKHA_LOG_LEVEL": "DEBUG"}, ("logging", "level"), "debug"),
        ("", {"RUST_LOG": "warn,sqlx=error"}, ("logging", "level"), "warn"),
        ("[logging]\nlevel = 'Error'", {"RUST_LOG": "warn"}, ("logging", "level"), "error"),
        ("[logging]\nlevel = 'warning'", {}, ("logging", "level"), "warn"),
    ],
)  # fmt: skip
def test_sources(tmp_path: Path, text: str, environ: dict[str, str], key: tuple[str, str], value: object) -> None:
    config, warnings = _load(tmp_path, text, environ)
    assert config[key] == value
    assert warnings == []


def test_flat_names_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "flat.toml"
    file.write_text(
        f'server_port = 9000\nmcp_api_key = "{KEY}"\ndatabase_url = "postgresql:///y"\ncors_enabled = false\n'
    )
    file.chmod(0o600)
    config, warnings = load(file, {}, {})
    assert (config["server", "port"], config["server", "api_key"]) == (9000, KEY)
    assert config["security", "cors_allowed_origins"] == ()
    assert warnings == []


def test_command_line_wins(tmp_path: Path) -> None:
    config, _ = _load(tmp_path, "", {"SEKHA_SERVER_PORT": "1"}, port="2")
    assert config["server", "port"] == 2


def test_warnings(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("odd = 1\n" + BASE + "colour = 'red'\n[strange]\nx = 1\n")
    file.chmod(0o640)
    _, warnings = load(file, {"SEKHA__NO__KEY": "1", "SEKHA_CACHE": "/x"}, {})
    assert [part for part in ("unknown key odd", "database.colour", "section strange", "SEKHA__NO__KEY", "chmod 600")
            if not any(part in warning for warning in warnings)] == []  # fmt: skip
    assert len(warnings) == 5


def test_readable_file_with_only_hashes_is_fine(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[server]\napi_key_hashes = ["sha256:{"0" * 64}"]\n[database]\nurl = "postgresql:///x"\n')
    file.chmod(0o640)
    assert load(file, {}, {})[1] == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({("server", "port"): 70000}, "server.port = 70000: must be between 1 and 65535"),
        ({("server", "port"): "x"}, "server.port = 'x': must be a whole number"),
        ({("server", "port"): True}, "must be a whole number"),
        ({("server", "workers"): 0}, "server.workers = 0"),
        ({("server", "api_key"): "s3cret"}, "server.api_key = (hidden): must have at least 32 characters"),
        ({("server", "additional_api_keys"): ["short"]}, "server.additional_api_keys = (hidden)"),
        ({("server", "api_key_hashes"): ["md5:00"]}, "64 hex digits"),
        ({("server", "trusted_proxies"): ["10.0.0.1/8"]}, "not a network in CIDR notation"),
        ({("server", "drain_seconds"): float("nan")}, "must be a number"),
        ({("logging", "level"): "loud"}, "must be one of trace, debug, info, warn, error"),
        ({("rate_limiting", "enabled"): "perhaps"}, "must be true or false"),
        ({("embedding", "provider"): "magic"}, "must be one of ollama, openai, bridge, builtin"),
        ({("chroma", "url"): "chroma:8000"}, "must be an http(s):// URL"),
        ({("database", "url"): "mysql://x"}, "must begin with postgresql:// or be sqlite://PATH"),
        ({("database", "url"): "sqlite://"}, "must begin with postgresql:// or be sqlite://PATH"),
        ({("chroma", "mode"): "embedded"}, "works with SQLite only"),
        ({("database", "url"): "", ("database", "path"): " "}, "database.path is empty"),
    ],
)
def test_refusals(values: dict[tuple[str, str], Any], message: str) -> None:
    valid = {("server", "api_key"): KEY, ("database", "url"): "postgresql:///x"}
    with pytest.raises(ConfigError) as refusal:
        build({**valid, **values})
    assert message in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_a_key_may_be_in_the_database_only() -> None:
    assert not build({}).has_keys
    assert build({("server", "api_key"): KEY}).has_keys


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "sqlite://~/.sekha/data/sekha.db"),
        ({("database", "path"): "/srv/x.db"}, "sqlite:///srv/x.db"),
        ({("database", "path"): "/srv/x.db", ("database", "url"): "postgresql:///y"}, "postgresql:///y"),
    ],
)
def test_which_database(values: dict[tuple[str, str], Any], url: str) -> None:
    assert build(values).database_url == url
