"""SQLite's side of restoring and verifying, without litestream and without a bucket."""

from __future__ import annotations

import datetime
import os
import sqlite3
import types
from contextlib import closing
from pathlib import Path

import pytest
from sekha_backup import copies, litestream, machine, sqlite, stream
from sekha_backup.bring_up import Source
from sekha_backup.machine import RefusedError
from sekha_backup.repository import Backup
from sekha_backup.stream import Position
from sekha_backup.verify_sqlite import bounds, content, counters
from sekha_service.store import sqlite_migrate


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The service's own schema, a conversation with two messages."""
    file = tmp_path / "sekha.db"
    sqlite_migrate.migrate(file)
    with closing(sqlite3.connect(file)) as base, base:
        base.execute(
            "INSERT INTO conversations (id, label, label_lower, created_at, updated_at) VALUES ('c', 'x', 'x', "
            "'2026-11-23T10:00:00.000000', '2026-11-23T10:00:00.000000')"
        )
        for key in "ab":
            base.execute(
                "INSERT INTO messages (id, conversation_id, seq, role, content, timestamp) VALUES (?, 'c', ?, 'user',"
                " 'text', '2026-11-23T11:00:00.000000')",
                (key, ord(key)),
            )
    return file


def test_content_and_counters(database: Path) -> None:
    found = content(database)
    assert (found.rows["conversations"], found.rows["messages"]) == (1, 2)
    assert found.newest
    assert found.newest.isoformat() == "2026-11-23T11:00:00+00:00"
    assert not [name for name in found.rows if name.startswith(("messages_fts", "sqlite_"))]
    assert counters(database)["messages"] == stream.highest(database) == 2


@pytest.mark.parametrize(
    ("now", "after", "expected"),
    [
        ({"messages": 10, "conversations": 3}, {"messages": 10}, {"messages": (10, 10), "conversations": (3, 3)}),
        ({"messages": 12, "conversations": 4}, {"messages": 12}, {"messages": (10, 12), "conversations": (3, 6)}),
        (
            {"messages": 9, "conversations": 3},
            {"messages": 11},
            {"messages": (8, 11), "conversations": (3, 3)},
        ),  # one came, two went
    ],
)
def test_bounds(now: dict[str, int], after: dict[str, int], expected: dict[str, tuple[int, int]]) -> None:
    found = bounds({"messages": 10, "conversations": 3}, now, {"messages": 10}, after)
    assert found["messages"] == expected["messages"]
    assert (
        found["conversations"][0]
        <= expected["conversations"][0]
        <= expected["conversations"][1]
        <= found["conversations"][1]
    )


def test_a_state_that_lacks_what_was_in_the_bucket_is_refused(database: Path) -> None:
    sqlite.missing(0, database)
    sqlite.missing(2, database)
    with pytest.raises(RefusedError, match="ends at message 2 of 3 at least"):
        sqlite.missing(3, database)


@pytest.mark.parametrize("damage", ["orphan", "page", "text"])
def test_damage_is_seen(database: Path, damage: str) -> None:
    assert copies.look(database)["conversations"] == 1
    if damage == "orphan":
        with closing(sqlite3.connect(database)) as base, base:
            base.execute("UPDATE messages SET conversation_id = 'gone'")
    else:
        body = bytearray(database.read_bytes())
        at = 0 if damage == "text" else len(body) // 2
        body[at : at + 4096] = b"x" * 4096
        database.write_bytes(body)
    with pytest.raises(RefusedError, match="the database"):
        copies.look(database)


def test_whole_when_the_bucket_is_at_the_end_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sekha.db"
    wal, folder = tmp_path / "sekha.db-wal", tmp_path / ".sekha.db-litestream"
    with pytest.raises(RefusedError, match="has not begun"):
        stream.shadow(file)
    (folder / "generations/g1/wal").mkdir(parents=True)
    (folder / "generation").write_text("g1\n")
    for number, size in ((0, 900), (1, 132)):
        (folder / f"generations/g1/wal/{number:08x}.wal").write_bytes(bytes(size))
    wal.write_bytes(b"")
    for at, written, expected in (
        (Position(1, 132), -1, True), (Position(1, 32), -1, False), (None, -1, False), (Position(1, 132), 1, False),
    ):  # fmt: skip
        monkeypatch.setattr(stream, "uploaded", lambda at=at: at)
        os.utime(wal, (0, stream.shadow(file)[1] + written))
        assert stream.whole(file) is expected


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's folder of the database, and nobody to tell what to start and stop."""
    folder = tmp_path / "sqlite"
    folder.mkdir()
    for name, path in (("SQLITE", folder), ("DATABASE", folder / "sekha.db")):
        monkeypatch.setattr(sqlite, name, path)
    for name in ("BEFORE", "RESTORING"):
        monkeypatch.setattr(sqlite, name, folder / name.lower())
    monkeypatch.setattr(sqlite, "CHROMA", tmp_path / "chroma")
    return folder


@pytest.mark.parametrize("moved", [(), ("sekha.db-wal",), ("sekha.db-wal", "sekha.db")])
def test_a_restore_that_fails_puts_the_data_of_before_back(
    moved: tuple[str, ...], folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after a try that was killed while it set them aside, or put them back."""
    told: list[str] = []
    place = types.SimpleNamespace(stack="test")
    at = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)

    def fail(*_: object) -> None:
        assert not (folders / "sekha.db").exists()
        assert sqlite.RESTORING.exists()  # without it, the service would start empty
        raise RefusedError("no")

    for name, stub in (
        ("restore", fail), ("backups", lambda _: [Backup("x", "snapshot", at, at, 0, 0)]),
        ("of_this_machine", lambda: types.SimpleNamespace(renew=lambda: None)), ("folder", lambda *_: None),
        ("systemctl", lambda verb, *units: told.append(f"{verb} {' '.join(units)}")),
    ):  # fmt: skip
        monkeypatch.setattr(sqlite, name, stub)
    monkeypatch.setattr(machine, "own_place", lambda: place)
    monkeypatch.setattr(machine, "orders", dict)
    for name in ("sekha.db", "sekha.db-wal"):
        (folders / name).write_text(f"precious {name}")
    for name in moved:
        sqlite.BEFORE.mkdir(exist_ok=True)
        (folders / name).rename(sqlite.BEFORE / name)
    with pytest.raises(RefusedError, match="type its name"):
        sqlite.in_place("", "other")
    assert not told
    with pytest.raises(RefusedError, match="no"):
        sqlite.in_place("", "test")
    assert [(folders / name).read_text()[:8] for name in ("sekha.db", "sekha.db-wal")] == ["precious"] * 2
    assert not sqlite.RESTORING.exists()
    assert told[-1].startswith("start sekha-litestream")


def test_an_early_download_counts_only_while_nothing_comes_to_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["s3", "g", "0", "0", "100", "2026-11-23T12:00:00Z"]]
    monkeypatch.setattr(litestream, "listing", lambda _: list(rows))
    source, noon = Source("s", ("config",), ()), datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
    prepared = {"listing": list(rows), "report": {"bytes": 1}}
    assert sqlite.current(prepared, source, None) == {"bytes": 1}
    assert sqlite.current({}, source, None) == sqlite.current(None, source, None) == {}
    assert sqlite.current(prepared, source, noon) == {}
    rows.append(["s3", "g", "0", "100", "50", "2026-11-23T12:00:40Z"])
    assert sqlite.current(prepared, source, None) == {}
