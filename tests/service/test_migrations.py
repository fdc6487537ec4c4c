"""The schema's versions: what an older release does with a newer schema."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sekha_service.store import database as databases
from sekha_service.store import migrate, sqlite_migrate
from sekha_service.store.migrate import Migration, SchemaError, migrations

from tests.service.rig import API_KEY, Chroma, Database, Service, controller

EXPAND = Migration(9001, "9001_expand.sql", "ALTER TABLE conversations ADD COLUMN colour text;\n", 0)
CONTRACT = Migration(9002, "9002_contract.sql", "ALTER TABLE conversations DROP COLUMN colour;\n", 9002)


def _release_with(monkeypatch: pytest.MonkeyPatch, *more: Migration) -> None:
    for module in (migrate, sqlite_migrate):
        monkeypatch.setattr(module, "migrations", lambda folder: [*migrations(folder), *more])


def test_the_previous_release_runs_on_this_schema(database: Database, chroma: Chroma, tmp_path: Path) -> None:
    """With SEKHA_PREVIOUS_RELEASE=<its app/src>: run before each release, for both databases it knows."""
    source = os.environ.get("SEKHA_PREVIOUS_RELEASE")
    if not source:
        pytest.skip("SEKHA_PREVIOUS_RELEASE is not set")
    if database.is_sqlite and not (Path(source) / "sekha_service/store/migrations/sqlite").is_dir():
        pytest.skip("the previous release has no SQLite")
    databases.migrate_schema(database.url)
    old = Service(tmp_path, database.url, chroma.port)
    old.source = Path(source)
    old.start()
    made = old.create("old", "Roses are red", folder="/f")
    old.wait_until_indexed()
    address = f"/api/v1/conversations/{made['id']}"
    assert old.client.get(address).json()["messages"][0]["content"] == "Roses are red"
    assert old.query("flowers")[0]["conversation_id"] == made["id"]
    assert old.client.post("/api/v1/search/fts", json={"query": "rose"}).json()["total"] == 1
    assert old.client.put(f"{address}/pin").status_code == 200
    assert old.client.delete(address).status_code == 200
    old.stop()


def test_expanded_schemas_are_fine_and_contracted_ones_are_refused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = databases.migrate_schema(database.url)
    config = tmp_path / "config.toml"
    config.write_text(f'[database]\nurl = "{database.url}"\n')
    with monkeypatch.context() as newer:
        _release_with(newer, EXPAND)
        assert databases.migrate_schema(database.url) == 9001
    assert newest < databases.migrate_schema(database.url) == 9001, "this release runs on the next one's schema"
    with monkeypatch.context() as newer:
        _release_with(newer, EXPAND, CONTRACT)
        assert databases.migrate_schema(database.url) == 9002
    with pytest.raises(
        SchemaError, match=rf"schema version 9002, which needs .* version 9002; this one knows {newest}"
    ):
        databases.migrate_schema(database.url)
    refused = controller("--config", str(config), "--port", "1", SEKHA_API_KEY=API_KEY)
    assert refused.returncode == 1
    refused = controller("migrate-schema", "--config", str(config), SEKHA_API_KEY=API_KEY)
    assert (refused.returncode, "install the newer release" in refused.stdout) == (1, True)


def test_a_failing_migration_leaves_nothing_behind(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Migration(9003, "9003_broken.sql", "CREATE TABLE half (x text);\nSELECT nonsense();\n", 0)
    with monkeypatch.context() as newer:
        _release_with(newer, EXPAND, CONTRACT, broken)
        with pytest.raises(databases.DATABASE_ERRORS, match="nonsense"):
            databases.migrate_schema(database.url)
    table = "sqlite_master WHERE name" if database.is_sqlite else "pg_tables WHERE tablename"
    assert database.execute(f"SELECT count(*) FROM {table} = 'half'") == [(0,)]  # noqa: S608
