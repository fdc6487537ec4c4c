"""The real litestream and the real object store, without a machine: what comes back, after kills and damage too."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from sekha_backup import bring_up, copies, litestream, machine, sqlite, stream
from sekha_backup.bring_up import Source
from sekha_backup.machine import Place, RefusedError
from sekha_service.store import sqlite_migrate

from tests.support import TIED, wait_for
from tools import litestream_build

ACCESS, SECRET, BUCKET = "operator", secrets.token_hex(16), "sekha-test"
ADD = (
    "INSERT INTO conversations (id, label, label_lower, created_at, updated_at) VALUES (?, 'x', 'x', ?, ?)",
    "INSERT INTO messages (id, conversation_id, seq, role, content, timestamp) VALUES (?, ?, 0, 'user', ?, ?)",
)

pytestmark = pytest.mark.timeout(900)  # the first one builds litestream where it is not cached


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """A client of the object store, with a bucket, and its address."""
    folder = tmp_path_factory.mktemp("objects")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    program = shutil.which("versitygw") or pytest.fail("no versitygw on PATH: run by tools/run --tools")
    env = {**os.environ, "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
    server = subprocess.Popen([*TIED, program, "--port", address, "--quiet", "posix", str(folder)], env=env)
    client = boto3.client(
        "s3", endpoint_url=f"http://{address}", region_name="us-east-1",
        aws_access_key_id=ACCESS, aws_secret_access_key=SECRET,
    )  # fmt: skip

    def ready() -> bool:
        with contextlib.suppress(Exception):
            client.create_bucket(Bucket=BUCKET)
            return True
        return False

    wait_for(ready, 20, "the object store takes a bucket")
    yield client, f"http://{address}"
    server.kill()
    server.wait()


class Node:
    """What is a machine elsewhere: a database with the service's schema, and litestream beside it."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.place, self.config = place, folder / "litestream.json"
        self.database = machine.DATABASE
        self.process: subprocess.Popen[bytes] | None = None
        sqlite_migrate.migrate(self.database)
        self.base = sqlite3.connect(self.database, timeout=30)
        litestream.configure(place, self.config)

    def start(self) -> None:
        command = [*TIED, str(litestream.PROGRAM), "replicate", "-config", str(self.config), "-no-expand-env"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def add(self, *names: str) -> None:
        for name in names:
            now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
            with self.base:
                self.base.execute(ADD[0], (f"c-{name}", now, now))
                self.base.execute(ADD[1], (f"m-{name}", f"c-{name}", f"text of {name}", now))

    def settled(self) -> None:
        """All of it is in the bucket."""
        wait_for(self._whole, 30, "the stream is whole")

    def _whole(self) -> bool:
        with contextlib.suppress(RefusedError, FileNotFoundError):
            return stream.whole()
        return False

    def restored(self, target: datetime.datetime | None = None) -> list[str]:
        source = Source("test", (str(self.config),), sqlite.backups(self.place, self.config))
        sqlite.download(self.place, source, target, sqlite.TRIAL)
        return names(sqlite.TRIAL / self.database.name)


def names(file: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(file)) as base:
        return [row[0] for row in base.execute("SELECT content FROM messages ORDER BY n")]


@pytest.fixture
def node(tmp_path: Path, store: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    folder = tmp_path / "sqlite"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        metrics = f"127.0.0.1:{free.getsockname()[1]}"
    program = litestream_build.litestream()
    for module, name, value in (
        (machine, "DATABASE", folder / "sekha.db"), (litestream, "DATABASE", folder / "sekha.db"),
        (sqlite, "DATABASE", folder / "sekha.db"), (sqlite, "TRIAL", folder / "trial"),
        (litestream, "PROGRAM", program), (litestream, "METRICS", metrics), (stream, "METRICS", metrics),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(stream.whole, "__defaults__", (folder / "sekha.db",))
    stack = f"s{secrets.token_hex(3)}"
    place = Place(
        stack, store[1], "us-east-1", BUCKET, "path", "", lambda: (ACCESS, SECRET, {}), temporary=False,
        stack_key=secrets.token_hex(32),
    )  # fmt: skip
    made = Node(tmp_path, place)
    made.start()
    yield made
    made.base.close()
    if made.process and made.process.poll() is None:
        made.kill()


def objects(store: tuple[Any, str], prefix: str) -> list[str]:
    return [row["Key"] for row in store[0].list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def test_what_was_written_comes_back_after_kills_and_as_of_a_time(node: Node, store: tuple[Any, str]) -> None:
    node.add("a", "b")
    node.settled()
    time.sleep(1.1)  # the store tells times in seconds
    early = datetime.datetime.now(datetime.UTC)
    time.sleep(1.1)
    busy = threading.Event()

    def write() -> None:
        base = sqlite3.connect(node.database, timeout=30)
        for number in range(300):
            with base:
                base.execute(ADD[0], (f"c-{number}", "2026-01-01", "2026-01-01"))
                base.execute(ADD[1], (f"m-{number}", f"c-{number}", f"row {number}", "2026-01-01"))
            busy.set()
            time.sleep(0.01)
        base.close()

    thread = threading.Thread(target=write)
    thread.start()
    busy.wait(10)
    time.sleep(1)
    node.kill()  # in the middle of writes; the service writes on
    thread.join()
    node.start()
    node.add("last")
    node.settled()
    end = stream.shadow(node.database)[0]
    stream.mark(node.database)
    assert not stream.whole()
    node.settled()
    assert stream.shadow(node.database)[0] != end
    expected = ["text of a", "text of b", *(f"row {number}" for number in range(300)), "text of last"]
    assert names(node.database) == expected
    node.kill()
    assert node.restored() == expected
    assert node.restored(early) == expected[:2]
    for target, words in (
        (early - datetime.timedelta(days=1), "before the first backup was complete"),
        (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1), "is in the future"),
    ):
        with pytest.raises(RefusedError, match=words):
            node.restored(target)
    time.sleep(1.1)
    with pytest.raises(RefusedError, match="after the end of the archive"):
        node.restored(datetime.datetime.now(datetime.UTC))
    assert (
        b"text of"
        not in store[0]
        .get_object(Bucket=BUCKET, Key=objects(store, f"{node.place.named('sqlite')}/live")[0])["Body"]
        .read()
    )


def test_a_damaged_stream_is_refused_and_a_copy_restores(node: Node, store: tuple[Any, str]) -> None:
    node.add("a", "b")
    node.settled()
    made = copies.make(node.place, node.database, node.database.parent / "copy")
    assert made["conversations"] == 2
    node.add("c")
    node.settled()
    node.kill()
    copied = datetime.datetime.fromisoformat(made["at"])
    assert node.restored(copied) == ["text of a", "text of b"]
    (piece,) = objects(store, f"{node.place.named('sqlite')}/daily/")
    assert b"text of" not in store[0].get_object(Bucket=BUCKET, Key=piece)["Body"].read()
    for key in (piece, objects(store, f"{node.place.named('sqlite')}/live/generations")[-1]):
        body = store[0].get_object(Bucket=BUCKET, Key=key)["Body"].read()
        store[0].put_object(Bucket=BUCKET, Key=key, Body=body[:-20] + bytes(20))
    with pytest.raises(RefusedError, match="damaged"):
        node.restored(copied)
    with pytest.raises(RefusedError, match="litestream restore: exit code 1"):
        node.restored()
    store[0].delete_object(Bucket=BUCKET, Key=piece)
    with pytest.raises(RefusedError, match="lacks its piece 0"):
        node.restored(copied)


def test_a_store_that_is_away_is_not_an_empty_one(node: Node) -> None:
    node.add("a")
    node.settled()
    node.kill()
    gone = litestream.settings(node.place).replace(node.place.endpoint, "http://127.0.0.1:1")
    machine.write(node.config, gone)
    with pytest.raises(RefusedError, match="litestream snapshots"):
        litestream.backups(node.config)


def test_a_missing_piece_of_the_stream_is_refused(node: Node, store: tuple[Any, str]) -> None:
    for name in "abcd":
        node.add(name)
        node.settled()
    node.kill()
    wal = sorted(key for key in objects(store, f"{node.place.named('sqlite')}/live") if "/wal/" in key)
    store[0].delete_object(Bucket=BUCKET, Key=wal[-2])
    reached = stream.highest(node.database)
    assert node.restored() == ["text of a", "text of b"]  # litestream itself says nothing
    with pytest.raises(RefusedError, match=f"ends at message 2 of {reached}"):
        sqlite.missing(reached, sqlite.TRIAL / node.database.name)


def test_another_stack_starts_with_the_backups_of_this_one(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.add("a")
    node.settled()
    node.kill()
    own = dataclasses.replace(node.place, stack="other", stack_key=secrets.token_hex(32))
    for name in ("OWN", "SOURCE"):
        monkeypatch.setattr(litestream, name, tmp_path / f"{name}.json")
    monkeypatch.setattr(machine, "RUN", tmp_path)
    monkeypatch.setattr(machine, "own_place", lambda: own)
    litestream.configure(own, litestream.OWN)
    given = {"Access": ACCESS, "Secret": SECRET, "Stack": node.place.stack_key}
    machine.write(tmp_path / "secrets.json", json.dumps({f"restore{name}Key": key for name, key in given.items()}))
    bucket = {"endpoint": node.place.endpoint, "region": "us-east-1", "name": BUCKET, "addressing": "path", "ca": ""}
    orders = {"restore_from": {"stack": node.place.stack, "bucket": bucket}}
    source = sqlite.choose_source(orders)
    assert source.stack == node.place.stack
    sqlite.download(bring_up.source_place(orders), source, None, sqlite.TRIAL)
    assert names(sqlite.TRIAL / node.database.name) == ["text of a"]


def test_what_was_downloaded_early_holds_until_another_change_comes(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "SQLITE", tmp_path / "sqlite")
    monkeypatch.setattr(sqlite, "RESTORING", tmp_path / "sqlite/restoring")
    monkeypatch.setattr(sqlite, "folder", lambda *_: None)
    monkeypatch.setattr(machine, "own_place", lambda: node.place)
    node.add("one")
    node.settled()
    source = Source("test", (str(node.config),), sqlite.backups(node.place, node.config))
    prepared = sqlite.prepare(source)
    assert names(sqlite.RESTORING / "sekha.db") == ["text of one"]
    assert sqlite.current(prepared, source, None) == prepared["report"]
    node.add("two")
    node.settled()
    assert sqlite.current(prepared, source, None) == {}
    sqlite.discard()
    assert not sqlite.RESTORING.exists()
