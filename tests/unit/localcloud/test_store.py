"""The durable state: what is there after a restart, and what a failed transaction leaves."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from localcloud.store import Store


def test_a_new_store_on_the_same_file_has_everything(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = Store(path)
    project = store.add_project("p")
    token, reader = store.add_token(project), store.add_token(project, read_only=True)
    data = store.add(project, "volume", {"name": "v", "size": 10})
    action = {"command": "create_volume", "status": "running", "resources": [{"id": data["id"], "type": "volume"}]}
    running = store.add_action(
        project, action, {"operation": "create_volume", "args": {}, "keys": [["volume", data["id"]]]}
    )
    store.delete("volume", data["id"])
    kept = store.add(project, "network", {"name": "n"})
    store.close()

    again = Store(path)
    assert again.find_token(token) == (project, False)
    assert again.find_token(reader) == (project, True)
    assert again.tokens(project) == [token]
    assert again.projects() == [(project, "p")]
    assert again.get(project, "network", kept["id"]) == kept
    assert again.get(project, "volume", data["id"]) is None
    assert again.action(project, running["id"]) == running
    assert again.actions(project, kind="volume", resource=data["id"]) == [running]
    assert [job[0] for job in again.running_jobs()] == [running["id"]]
    assert again.next_id() > kept["id"]
    again.close()


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    project = store.add_project("p")
    before = store.next_id()

    def two_of_a_name() -> None:
        with store.transaction():
            store.add(project, "volume", {"name": "a"})
            store.add(project, "volume", {"name": "a"})

    with pytest.raises(sqlite3.IntegrityError):
        two_of_a_name()
    assert store.all(project, "volume") == []
    assert store.next_id() == before + 1
    store.close()


def test_tokens_and_file_mode(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    project = store.add_project("p")
    token = store.add_token(project)
    assert len(token) == 64
    assert token.isalnum()
    assert store.find_token("x") is None
    assert stat.S_IMODE((tmp_path / "state.db").stat().st_mode) == 0o600
    store.close()


def test_names_and_objects_belong_to_a_project(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    one, two = store.add_project("one"), store.add_project("two")
    mine = store.add(one, "network", {"name": "n"})
    theirs = store.add(two, "network", {"name": "n"})
    assert store.get(two, "network", mine["id"]) is None
    assert store.all(two, "network") == [theirs]
    assert len(store.all(None, "network")) == 2
    store.close()


def test_a_commit_that_fails_leaves_nothing_and_the_store_goes_on(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    project = store.add_project("p")
    store._db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    store._db.execute("CREATE TABLE child (p REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
    store._db.execute("PRAGMA foreign_keys = ON")

    def broken() -> None:
        with store.transaction():
            store.add(project, "volume", {"name": "a"})
            store._db.execute("INSERT INTO child VALUES (1)")  # found out by COMMIT, as a full disk may be

    with pytest.raises(sqlite3.IntegrityError):
        broken()
    assert store.all(project, "volume") == []
    assert store.add(project, "volume", {"name": "b"})["name"] == "b"
    store.close()
