"""The schema's versions: what an older release does with a newer schema."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from sekha_service.store import database as databases
from sekha_service.store import migrate, sqlite_migrate
from sekha_service.store.migrate import Migration, SchemaError, migrations

from tests.service.rig import API_KEY, REPO, Chroma, Database, Service, controller

EXPAND = Migration(9001, "9001_expand.sql", "ALTER TABLE conversations ADD COLUMN colour text;\n", 0)
CONTRACT = Migration(9002, "9002_contract.sql", "ALTER TABLE conversations DROP COLUMN colour;\n", 9002)


def _release_with(monkeypatch: pytest.MonkeyPatch, *more: Migration) -> None:
    for module in (migrate, sqlite_migrate):
        monkeypatch.setattr(module, "migrations", lambda folder: [*migrations(folder), *more])


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The previous release's app/src: SEKHA_PREVIOUS_RELEASE, or the commit or tag in app/PREVIOUS_RELEASE."""
    given = os.environ.get("SEKHA_PREVIOUS_RELEASE")
    if given:
        return Path(given)
    revision = (REPO / "app" / "PREVIOUS_RELEASE").read_text().strip()
    archive = subprocess.run(["git", "-C", REPO, "archive", revision, "app/src"], capture_output=True)
    if archive.returncode:
        pytest.skip(f"the previous release {revision} is not in this clone: {archive.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("previous")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder / "app" / "src"


def test_the_previous_release_runs_on_this_schema(
    database: Database, chroma: Chroma, tmp_path: Path, previous: Path
) -> None:
    databases.migrate_schema(database.url)
    old = Service(tmp_path, database.url, chroma.port)
    old.source = previous
    old.start()
    made = old.create("old", "Roses are red", folder="/f")
    old.wait_until_indexed()
    address = f"/api/v1/conversations/{made['id']}"
    assert old.client.get(address).json()["messages"][0]["content"] == "Roses are red"
    assert old.query("flowers")[0]["conversation_id"] == made["id"]
    assert old.client.post("/api/v1/search/fts", json={"query": "rose"}).json()["total"] == 1
    assert old.client.put(f"{address}/pin").status_code == 200
    gone = old.create("gone", "Violets are blue")["id"]
    assert old.client.delete(f"/api/v1/conversations/{gone}").status_code == 200
    old.stop()
    new = Service(tmp_path, database.url, chroma.port)
    new.start()
    assert new.client.get(address).json()["messages"][0]["content"] == "Roses are red"
    stats = new.client.get("/api/v1/stats").json()["data"]
    assert (stats["total_conversations"], stats["total_tokens"]) == (1, 3), "also what only this release keeps"
    new.stop()


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
