"""What is SQLite's own: its file, several processes on it, backups, kill -9."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.service.rig import API_KEY, Chroma, Database, Process, Service
from tests.support import wait_for

SETTINGS = "[server]\nworkers = 2\n[rate_limiting]\nenabled = false\n"


@pytest.fixture
def data(tmp_path: Path) -> Database:
    return Database(f"sqlite://{tmp_path}/home/data/sekha.db")


@pytest.fixture
def pair(tmp_path: Path, data: Database, chroma: Chroma) -> Iterator[Service]:
    """Two workers on one file."""
    it = Service(tmp_path, data.url, chroma.port, SETTINGS)
    it.start()
    yield it
    it.stop()


def _create(service: Service, name: str) -> httpx.Response:
    """A conversation over a connection of its own, so that every worker gets some."""
    messages = [{"role": "user", "content": f"{name} {i}"} for i in range(3)]
    body = {"label": name, "messages": messages}
    return httpx.post(f"{service.url}/api/v1/conversations", json=body, headers={"X-API-Key": API_KEY}, timeout=30)


def _all_processes(process: Process) -> list[int]:
    pid = process._process.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def test_file(pair: Service, data: Database) -> None:
    pair.create("x", "text")
    assert data.path.stat().st_mode & 0o777 == 0o600
    assert data.path.parent.stat().st_mode & 0o777 == 0o700
    for suffix in ("-wal", "-shm", "-feeder"):
        file = data.path.with_name(data.path.name + suffix)
        wait_for(file.exists, 10, f"{file} is made")
        assert file.stat().st_mode & 0o077 == 0
    assert data.execute("PRAGMA journal_mode") == [("wal",)]


def test_many_writers_in_two_processes(pair: Service, data: Database) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: _create(pair, f"writer {i}"), range(80)))
    assert {answer.status_code for answer in answers} == {201}
    assert data.execute("SELECT count(*) FROM conversations") == [(80,)]
    assert data.execute("SELECT sum(conversations), sum(messages) FROM counters") == [(80, 240)]
    pair.wait_until_indexed()
    assert data.execute("SELECT count(*) FROM embeddings") == [(240,)], "fed once, whoever wrote them"
    assert "locked" not in pair.log.read_text()


def test_a_lock_of_another_program_is_waited_for(pair: Service, data: Database) -> None:
    made = pair.create("x", "text")
    other = sqlite3.connect(data.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_create, pair, "waits")
        for _ in range(20):
            assert pair.client.get(f"/api/v1/conversations/{made['id']}").status_code == 200, "reads go on"
            assert pair.status() == 200, "so does /health: the event loop is free"
        assert not waiting.done()
        other.execute("COMMIT")
        assert waiting.result(20).status_code == 201
    other.close()


def test_backup_while_writing_and_restore(pair: Service, data: Database, chroma: Chroma, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> int:
        count = 0
        while not stop.is_set():
            count += _create(pair, f"during {count}").status_code == 201
        return count

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        wait_for(
            lambda: data.path.exists() and data.execute("SELECT count(*) FROM conversations")[0][0] > 5, 20, "rows"
        )
        source, copy = sqlite3.connect(data.path), sqlite3.connect(tmp_path / "backup.db")
        source.backup(copy)
        source.close()
        copy.close()
        stop.set()
        assert writing.result(30) > 0
    backup = Database(f"sqlite://{tmp_path}/backup.db")
    assert backup.execute("PRAGMA integrity_check") == [("ok",)]
    (kept,) = backup.execute("SELECT count(*) FROM conversations")[0]
    assert kept > 5
    pair.stop()
    for file in data.path.parent.glob("sekha.db*"):
        file.unlink()
    shutil.copy(tmp_path / "backup.db", data.path)
    again = Service(tmp_path, data.url, chroma.port, SETTINGS)
    again.start()
    assert again.client.get("/api/v1/conversations/count").json()["count"] == kept
    again.stop()


@pytest.mark.parametrize("victims", ["everything", "one worker"])
def test_kill_9_keeps_what_was_acknowledged(pair: Service, data: Database, victims: str) -> None:
    acknowledged: set[str] = set()
    stop = threading.Event()

    def write(thread: int) -> None:
        while not stop.is_set():
            try:
                answer = _create(pair, f"thread {thread}")
            except httpx.HTTPError:
                continue
            if answer.status_code == 201:
                acknowledged.add(answer.json()["id"])

    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(write, thread) for thread in range(8)]
        wait_for(lambda: len(acknowledged) > 100, 30, "writes are under way")
        assert pair.process
        processes = _all_processes(pair.process)
        for pid in processes if victims == "everything" else processes[1:2]:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.3)  # the others go on writing, if there are any
        stop.set()
        for each in writing:
            each.result(30)
    if victims == "everything":
        pair.process.wait()
        pair.start()
    stored = {row[0] for row in data.execute("SELECT id FROM conversations")}
    assert acknowledged <= stored
    assert data.execute("SELECT count(*) FROM conversations WHERE message_count <> 3") == [(0,)]
    assert data.execute("SELECT count(*) FROM messages") == [(3 * len(stored),)], "no half conversation"
    assert data.execute("PRAGMA integrity_check") == [("ok",)]
    assert data.execute("SELECT count(*) FROM messages_fts('thread')") == [(3 * len(stored),)]


def test_a_replaced_file_is_noticed(pair: Service, data: Database) -> None:
    pair.create("x", "text")
    data.path.rename(data.path.with_name("moved.db"))
    wait_for(lambda: pair.status() == 503, 5, "health tells")
