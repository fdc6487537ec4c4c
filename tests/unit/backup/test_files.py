"""Caddy's files: the same bytes for the same content, sealed, and back only into an empty folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sekha_backup import files
from sekha_backup.bucket import Answer
from sekha_backup.machine import FILES, Place, RefusedError, place

BUCKET = {"endpoint": "https://s3.example.com", "region": "r", "name": "b", "addressing": "path"}
PLACE = place("s", BUCKET, lambda: ("a", "b", {}), "ab" * 32)


class Store:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def __call__(self, _: Place) -> Store:
        return self

    def get(self, key: str) -> Answer:
        return Answer(200, self.objects[key], "e", 0) if key in self.objects else Answer(404, b"", "", 0)

    def put(self, key: str, body: bytes) -> Answer:
        self.objects[key] = body
        return Answer(200, b"", "e", 0)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setattr(files, "Bucket", made)
    real = subprocess.run

    def run(command: list[str], **options: object) -> object:
        return None if command[0] == "chown" else real(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", run)
    return made


def caddy(folder: Path) -> Path:
    (folder / "pki/local").mkdir(parents=True)
    (folder / "locks").mkdir()
    (folder / "pki/local/root.key").write_text("PRIVATE")
    (folder / "pki/local/root.key").chmod(0o600)
    (folder / "locks/x").write_text("x")
    return folder


def test_there_and_back(tmp_path: Path, store: Store) -> None:
    folder, done = caddy(tmp_path / "caddy"), tmp_path / "done"
    assert files.save(PLACE, folder, done)
    assert not files.save(PLACE, folder, done), "nothing changed: no request"
    (sealed,) = store.objects.values()
    assert b"PRIVATE" not in sealed
    back = tmp_path / "back"
    assert files.bring_back(PLACE, back)
    assert (back / "pki/local/root.key").read_text() == "PRIVATE"
    assert (back / "pki/local/root.key").stat().st_mode & 0o777 == 0o600
    assert not (back / "locks").exists()
    assert not files.bring_back(PLACE, back), "never over what is there"


def test_no_backup_and_nothing_to_back_up(tmp_path: Path, store: Store) -> None:
    assert not files.bring_back(PLACE, tmp_path / "back")
    assert not files.save(PLACE, tmp_path / "nothing", tmp_path / "done")
    assert store.objects == {}


def test_damaged_or_of_another_key(tmp_path: Path, store: Store) -> None:
    sealed = files.seal(b"plain", PLACE.derived(FILES))
    assert files.unseal(sealed, PLACE.derived(FILES)) == b"plain"
    for wrong, key in ((b"x" + sealed[1:], PLACE.derived(FILES)), (sealed, "00" * 32)):
        with pytest.raises(RefusedError, match="damaged, or sealed with another stack key"):
            files.unseal(wrong, key)
