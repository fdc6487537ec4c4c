"""`sekha-controller migrate`: everything from SQLite to PostgreSQL, in spite of interruptions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sekha_service.store import sqlite_migrate
from sekha_service.store.sqlite_file import connect
from sekha_service.store.transfer import TransferError, transfer

from tests.service.rig import API_KEY, Chroma, Database, Postgres, Service, controller

TABLES = ("conversations", "messages", "embeddings", "hierarchical_summaries", "api_keys")
EDGES = "ÄÖ 漢字 🙂\\N\t\r\n\\x 'quoted' \x7f"
METADATA = '{"b":[1e5,2.50,-0.0,1e22,12345678901234567890],"a":"\\u00e9","n":null,"t":true}'


class InterruptionError(Exception):
    """Stands for whatever ends the process."""


@pytest.fixture
def source(tmp_path: Path) -> str:
    """40 conversations of 5 messages each with vectors, a summary, a key."""
    path = tmp_path / "old.db"
    sqlite_migrate.migrate(path)
    db = connect(path)
    at = "2026-01-25T20:30:00.123456"
    db.execute("BEGIN")
    for i in range(40):
        key = f"00000000-0000-4000-8000-{i:012x}"
        row = (key, f"Label {i} {EDGES}", f"label {i}", "/f", i / 4, 9, 5, METADATA, at, at)
        db.execute(
            "INSERT INTO conversations (id, label, label_lower, folder, importance_score, word_count, message_count, "
            "metadata, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        for seq in range(5):
            message = f"00000000-0000-4000-9000-{i * 5 + seq:012x}"
            db.execute(
                'INSERT INTO messages (id, conversation_id, seq, role, content, "timestamp", metadata) '
                "VALUES (?, ?, ?, 'user', ?, ?, ?)",
                (message, key, seq, f"Text {seq} {EDGES}" if seq else " ", at, METADATA if seq == 1 else None),
            )
            if seq:
                values = (message, bytes([i, seq, 0, 255]) * 384)
                db.execute("INSERT INTO embeddings (message_id, model, dim, vector) VALUES (?, 'm', 384, ?)", values)
    db.execute(
        "INSERT INTO hierarchical_summaries (id, conversation_id, level, summary_text, generated_at, model_used, "
        "token_count) SELECT '00000000-0000-4000-a000-000000000000', id, 'daily', 'short', ?, 'm', 1 "
        "FROM conversations LIMIT 1",
        [at],
    )
    db.execute("INSERT INTO api_keys (name, digest, created_at) VALUES ('laptop', ?, ?)", (b"d" * 32, at))
    db.execute("COMMIT")
    db.close()
    return f"sqlite://{path}"


@pytest.fixture
def target(cluster: Postgres) -> Database:
    return Database(cluster.new_database())


def _counts(database: Database) -> list[int]:
    return [database.execute(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]  # noqa: S608


def _stop_at(line: str) -> Callable[[str], None]:
    def say(text: str) -> None:
        if text.startswith(line):
            raise InterruptionError

    return say


def test_moves_everything(source: str, target: Database) -> None:
    result = controller("migrate", "--from", source, "--to", target.url)
    assert result.returncode == 0, result.stderr
    assert "messages: 200 of 200" in result.stdout
    assert "done: 160 messages queued for the vector index" in result.stdout, "blank messages have no vector"
    assert _counts(target) == _counts(Database(source)) == [40, 200, 160, 1, 1]
    assert target.execute("SELECT count(*) FROM vector_outbox") == [(160,)]
    row = "SELECT content FROM messages WHERE id = '00000000-0000-4000-9000-000000000001'"
    assert target.execute(row) == [(f"Text 1 {EDGES}",)]
    again = controller("migrate", "--from", source, "--to", target.url)
    assert again.returncode == 2
    assert "the target is not empty" in again.stderr


@pytest.mark.parametrize("line", ["conversations: 20", "messages: 70", "messages: 200", "api_keys: 1", "messages: ver"])
def test_an_interrupted_move_is_resumed(source: str, target: Database, line: str) -> None:
    with pytest.raises(InterruptionError):
        transfer(source, target.url, _stop_at(line), batch=10)
    told: list[str] = []
    transfer(source, target.url, told.append, batch=10)
    assert told[0] == "continuing the move that was interrupted"
    assert "conversations: 10 of 40" not in told, "what was done is not done again"
    assert _counts(target) == [40, 200, 160, 1, 1]


def test_killed_in_the_middle_of_a_batch(source: str, target: Database) -> None:
    with pytest.raises(InterruptionError):
        transfer(source, target.url, _stop_at("messages: 50"), batch=10)
    with psycopg.connect(target.url, autocommit=True) as server:
        server.execute("ALTER TABLE messages ADD CONSTRAINT stop CHECK (id <> '00000000-0000-4000-9000-00000000003b')")
        with pytest.raises(psycopg.errors.CheckViolation):
            transfer(source, target.url, lambda _: None, batch=10)
        assert _counts(target)[1] == 50, "half a batch is never there"
        server.execute("ALTER TABLE messages DROP CONSTRAINT stop")
    transfer(source, target.url, lambda _: None, batch=10)
    assert _counts(target) == [40, 200, 160, 1, 1]


@pytest.mark.parametrize(
    ("change", "table", "row"),
    [
        ("UPDATE messages SET content = content || '.' WHERE seq = 2 AND id = '{0}'", "messages",
         "00000000-0000-4000-9000-000000000002"),
        ("DELETE FROM conversations WHERE id = '{0}'", "conversations", "00000000-0000-4000-8000-000000000003"),
        ("UPDATE embeddings SET vector = decode(repeat('00', 1536), 'hex') WHERE message_id = '{0}'", "embeddings",
         "00000000-0000-4000-9000-000000000001"),
        ("UPDATE conversations SET metadata = jsonb_set(metadata, '{{b,1}}', '2.6') WHERE id = '{0}'", "conversations",
         "00000000-0000-4000-8000-000000000004"),
    ],
)  # fmt: skip
def test_a_tampered_row_is_found(source: str, target: Database, change: str, table: str, row: str) -> None:
    with pytest.raises(InterruptionError):
        transfer(source, target.url, _stop_at("api_keys: 1"))
    target.execute(change.format(row))
    with pytest.raises(TransferError, match=rf"{table} differs.*{row}"):
        transfer(source, target.url, lambda _: None)
    assert target.execute("SELECT count(*) FROM vector_outbox") == [(0,)], "an unverified move is not finished"


def test_refusals(source: str, target: Database, tmp_path: Path) -> None:
    with pytest.raises(InterruptionError):
        transfer(source, target.url, _stop_at("messages: 200"))
    other = tmp_path / "other.db"
    sqlite_migrate.migrate(other)
    with pytest.raises(TransferError, match="interrupted move from another"):
        transfer(f"sqlite://{other}", target.url, lambda _: None)
    for arguments in ((f"sqlite://{tmp_path}/no.db", target.url), (target.url, target.url), (source, source)):
        result = controller("migrate", "--from", arguments[0], "--to", arguments[1])
        assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert not (tmp_path / "no.db").exists()


def test_a_service_goes_on_where_the_old_one_stopped(
    tmp_path: Path, cluster: Postgres, chroma: Chroma, target: Database
) -> None:
    old = Service(tmp_path, f"sqlite://{tmp_path}/live.db", chroma.port)
    old.start()
    made = old.create("moved", "The harbour is full of sailing boats")
    old.wait_until_indexed()
    before = old.client.get(f"/api/v1/conversations/{made['id']}").json()
    assert controller("migrate", "--from", f"sqlite://{tmp_path}/live.db", "--to", target.url).returncode == 0
    old.stop()
    (tmp_path / "new").mkdir()
    new = Service(tmp_path / "new", target.url, chroma.port, api_key=API_KEY)
    new.start()
    assert new.client.get(f"/api/v1/conversations/{made['id']}").json() == before
    new.wait_until_indexed()
    assert new.query("ships in a port")[0]["conversation_id"] == made["id"]
    new.stop()
    file = sqlite3.connect(tmp_path / "live.db")
    assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    file.close()
