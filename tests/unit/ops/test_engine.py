"""The engine's environment: the user's own backend and passphrase win, ours are private files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.engine import Engine, OperatorError, user_backend

OWN = {"PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_HOME"}


@pytest.fixture(autouse=True)
def fresh_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SEKHA_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_state_goes_into_the_cache_when_the_user_chose_no_backend(fresh_machine: Path) -> None:
    env = Engine("local").environment()
    assert env["PULUMI_BACKEND_URL"] == f"file://{fresh_machine}/cache/state"
    assert env["PULUMI_HOME"] == f"{fresh_machine}/cache/pulumi-home"


def test_the_users_backend_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://mine")
    env = Engine("prod").environment()
    assert env["PULUMI_BACKEND_URL"] == "s3://mine"


def test_a_login_counts_as_the_users_backend_and_keeps_its_home(fresh_machine: Path) -> None:
    home = fresh_machine / "home" / ".pulumi"
    home.mkdir(parents=True)
    assert not user_backend({})
    (home / "credentials.json").write_text(json.dumps({"current": "https://example.invalid"}))
    assert user_backend({})
    env = Engine("prod").environment()
    assert "PULUMI_BACKEND_URL" not in env
    assert "PULUMI_HOME" not in env


def test_a_new_stack_gets_a_private_passphrase_once(fresh_machine: Path) -> None:
    engine = Engine("fresh", config_file=fresh_machine / "Pulumi.fresh.yaml")
    engine.ensure_passphrase()
    path = fresh_machine / "cache" / "stacks" / "fresh" / "passphrase"
    first = path.read_text()
    assert len(first) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    engine.ensure_passphrase()
    assert path.read_text() == first
    assert engine.environment()["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(path)


def test_secrets_without_their_passphrase_are_refused_with_the_remedy(fresh_machine: Path) -> None:
    config = fresh_machine / "Pulumi.prod.yaml"
    config.write_text("encryptionsalt: v1:abc\n")
    with pytest.raises(OperatorError, match=r"passphrase of stack 'prod' is missing.*PULUMI_CONFIG_PASSPHRASE_FILE"):
        Engine("prod", config_file=config).ensure_passphrase()


def test_a_passphrase_of_the_users_own_is_not_replaced(fresh_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "theirs")
    engine = Engine("prod", config_file=fresh_machine / "Pulumi.prod.yaml")
    engine.ensure_passphrase()
    assert not (fresh_machine / "cache" / "stacks" / "prod" / "passphrase").exists()
    assert engine.environment()["PULUMI_CONFIG_PASSPHRASE"] == "theirs"


def test_the_config_copy_is_passed_to_the_engine(fresh_machine: Path) -> None:
    copy = fresh_machine / "Pulumi.local.yaml"
    assert Engine("local", config_file=copy).command("up")[-2:] == ["--config-file", str(copy)]
    assert "--config-file" not in Engine("local", config_file=copy).command("stack", "output")
    assert "--config-file" not in Engine("prod").command("up")


def test_a_stack_without_a_config_file_is_refused(fresh_machine: Path) -> None:
    with pytest.raises(OperatorError, match=r"stack 'nosuch' has no Pulumi.nosuch.yaml: copy Pulumi.prod.yaml"):
        Engine("nosuch").require_config()
