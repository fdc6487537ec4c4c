"""What litestream is told, and which of its generations a time is in."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from sekha_backup import bring_up, litestream, machine
from sekha_backup.machine import Place, RefusedError

PLACE = Place(
    "prod", "https://s3.example", "eu", "b", "path", "", lambda: ("A$CCESS", "SECRET", {}), temporary=False,
    stack_key="11" * 32,
)  # fmt: skip


def at(second: int) -> datetime.datetime:
    return datetime.datetime(2026, 11, 23, 14, 0, second, tzinfo=datetime.UTC)


def test_settings() -> None:
    (base,) = json.loads(litestream.settings(PLACE, 3))["dbs"]
    (replica,) = base["replicas"]
    assert base["path"] == str(machine.DATABASE)
    assert replica["path"] == f"backups/prod/sqlite-{PLACE.named('')[-8:]}/live"
    assert (replica["retention"], replica["sync-interval"], replica["force-path-style"]) == ("720h", "3s", True)
    assert replica["access-key-id"] == "A$CCESS"  # taken as it is: every call says -no-expand-env
    assert replica["age"]["identities"][0].startswith("AGE-SECRET-KEY-1")
    assert "11" * 32 not in json.dumps(base)


def test_another_configuration_is_told_to_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed, own = tmp_path / "changed/sqlite", tmp_path / "litestream.json"
    monkeypatch.setattr(litestream, "CHANGED", changed)
    monkeypatch.setattr(litestream, "OWN", own)
    orders = {"sync_seconds": 1}
    monkeypatch.setattr(machine, "orders", lambda: orders)
    litestream.configure(PLACE, own)
    assert changed.exists()
    assert own.stat().st_mode & 0o777 == 0o600
    changed.unlink()
    litestream.configure(PLACE, own)
    litestream.configure(PLACE, tmp_path / "source.json")  # another stack's, to restore from
    assert not changed.exists()
    orders["sync_seconds"] = 30
    litestream.configure(PLACE, own)
    assert changed.exists()


# Two streams: `a` until a machine was lost, `b` of its successor. Times are cut to seconds.
TIMES = {"a": [at(10), at(12), at(20)], "b": [at(30), at(31)]}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (None, ("b", at(31), [])),
        (at(11), ("a", at(10), ["-timestamp", "2026-11-23T14:00:11Z"])),
        (at(20), ("a", at(20), ["-timestamp", "2026-11-23T14:00:20Z"])),
        (at(25), ("a", at(20), [])),  # between the two: all of the first
        (at(30), ("b", at(30), ["-timestamp", "2026-11-23T14:00:30Z"])),
        (at(9), "is before the first backup"),
        (at(32), "is after the end of the archive"),
    ],
)
def test_choose(target: datetime.datetime | None, expected: tuple[str, datetime.datetime, list[str]] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(RefusedError, match=expected):
            litestream.choose(TIMES, target)
    else:
        assert litestream.choose(TIMES, target) == expected


@pytest.mark.parametrize(("sqlite", "there"), [(True, "main/PG_VERSION"), (False, "sekha.db")])
def test_data_of_the_other_kind_are_refused(
    sqlite: bool, there: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.setattr(machine, "is_sqlite", lambda: sqlite)
    main, file = folder / "main", folder / "sekha.db"
    main.mkdir()
    bring_up.refuse_other_kind(main, file)
    (folder / there).write_text("17")
    with pytest.raises(RefusedError, match="the data on this volume are those of"):
        bring_up.refuse_other_kind(main, file)
