"""API keys in the database: made, listed, expired and revoked while services run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.rig import API_KEY, Chroma, Database, Service, controller
from tests.support import wait_for

ADDRESS = "/api/v1/conversations/count"


@pytest.fixture(scope="module")
def config(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "config.toml"
    path.write_text(f'[database]\nurl = "{database.url}"\n')
    return path


def _make(config: Path, name: str, *more: str) -> str:
    result = controller("keys", "make", name, "--config", str(config), *more)
    assert result.returncode == 0, result.stderr
    key = result.stdout.strip()
    assert key.startswith("sk-sekha-")
    assert len(key) >= len("sk-sekha-") + 32
    return key


@pytest.fixture(scope="module")
def first(config: Path) -> str:
    return _make(config, "first")


@pytest.fixture(scope="module")
def started(
    first: str, database: Database, chroma: Chroma, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Two workers, and no key but those in the database."""
    settings = "[server]\nworkers = 2\n[rate_limiting]\nenabled = false\n"
    it = Service(tmp_path_factory.mktemp("keyed"), database.url, chroma.port, settings, api_key="")
    it.start()
    yield it
    it.stop()


def _everywhere(service: Service, key: str, status: int) -> bool:
    """Whether many connections, so all workers, answer so."""
    found = [httpx.get(service.url + ADDRESS, headers={"X-API-Key": key}).status_code for _ in range(12)]
    return set(found) == {status}


def test_rotation_with_an_overlap(started: Service, config: Path, first: str) -> None:
    assert _everywhere(started, first, 200)
    assert _everywhere(started, API_KEY, 401), "nothing is configured"
    second = _make(config, "second")
    wait_for(lambda: _everywhere(started, second, 200), 5, "the new key is known to all workers")
    assert controller("keys", "expire", "first", "--at", "1h", "--config", str(config)).returncode == 0
    assert _everywhere(started, first, 200), "both work meanwhile"
    assert controller("keys", "revoke", "first", "--config", str(config)).returncode == 0
    wait_for(lambda: _everywhere(started, first, 401), 5, "the revoked key is refused by all workers")
    assert _everywhere(started, second, 200)


def test_expiry(started: Service, config: Path) -> None:
    key = _make(config, "short-lived")
    wait_for(lambda: _everywhere(started, key, 200), 5, "the key is known")
    controller("keys", "expire", "short-lived", "--at", "1s", "--config", str(config))
    wait_for(lambda: _everywhere(started, key, 401), 8, "the key has expired")


def test_list_and_what_is_stored(config: Path, database: Database) -> None:
    key = _make(config, "listed", "--expires", "90d")
    result = controller("keys", "list", "--config", str(config))
    assert key not in result.stdout
    assert any(line.split()[:2] == ["listed", "active"] for line in result.stdout.splitlines())
    rows = json.loads(controller("keys", "list", "--config", str(config), JSON="1").stdout)["keys"]
    listed = next(row for row in rows if row["name"] == "listed")
    assert listed["expires"] > listed["created"]
    assert (listed["revoked"], listed["last used"]) == (None, None)
    stored = database.execute("SELECT name, digest FROM api_keys")
    assert ("listed", hashlib.sha256(key.encode()).digest()) in [(name, bytes(digest)) for name, digest in stored]


def test_use_is_noted(started: Service, config: Path, database: Database) -> None:
    """Coarsely: the first use at once, later ones once in a minute."""
    used = "SELECT count(*) FROM api_keys WHERE last_used_at IS NOT NULL"
    wait_for(lambda: database.execute(used)[0][0] >= 1, 10, "a use is noted")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("revoke", "nobody"), "there is no key named 'nobody'"),
        (("expire", "nobody", "--at", "1d"), "there is no key named 'nobody'"),
        (("make", "taken"), "there is a key named 'taken' already"),
        (("make", "x y"), "1 to 64 letters"),
        (("make", "x", "--expires", "soon"), "no span like 90d"),
    ],
)
def test_refusals(config: Path, arguments: tuple[str, ...], message: str) -> None:
    controller("keys", "make", "taken", "--config", str(config))
    result = controller("keys", *arguments, "--config", str(config))
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr


def test_without_any_key_it_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[database]\nurl = "sqlite://{tmp_path}/data/sekha.db"\n')
    refused = controller("--config", str(config))
    assert (refused.returncode, (tmp_path / "data").exists()) == (2, False)
    assert "keys make" in refused.stderr
    _make(config, "only")
    controller("keys", "revoke", "only", "--config", str(config))
    assert controller("--config", str(config)).returncode == 2, "a revoked key lets nobody in"
