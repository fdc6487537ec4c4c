"""Whether an archive leads from a backup to its newest state, over timelines too; and which backups are passed over."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from sekha_backup import fetch, holes
from sekha_backup.bring_up import Source
from sekha_backup.holes import Archive, Hole
from sekha_backup.machine import RefusedError
from sekha_backup.repository import Backup, RepositoryError

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)


def name(timeline: int, number: int) -> str:
    return holes.name_of((timeline, number))


def archive(histories: dict[int, str] | None = None, **timelines: list[int]) -> Archive:
    """`t1=[3, 4]`: files 3 and 4 of timeline 1."""
    files = {name(int(key[1:]), number): "ab" * 20 for key, numbers in timelines.items() for number in numbers}
    return Archive(files, histories or {})


def history(**switches: int) -> str:
    """`t1=6`: timeline 1 was left in the middle of its file 6."""
    size = holes.SIZE
    return "".join(f"{key[1:]}\t0/{number * size + 100:X}\tno recovery target\n" for key, number in switches.items())


def test_names_and_numbers() -> None:
    assert holes.number("000000020000000100000003") == (2, 1024 + 3)
    assert holes.name_of((2, 1024 + 3)) == "000000020000000100000003"
    assert name(1, 1023) == "0000000100000000000003FF"


@pytest.mark.parametrize(
    ("what", "known", "found"),
    [
        (archive(t1=[4, 5, 6]), "", None),
        (archive(t1=[1, 2, 4, 5]), "", None),  # before the backup
        (archive(t1=[4, 5, 7, 8]), "", Hole(name(1, 6), 2)),
        (archive(t1=[5, 6]), "", Hole(name(1, 4), 2)),
        (archive(t1=[1022, 1023, 1024, 1026, *range(4, 1022)]), "", Hole(name(1, 1025), 1)),
        (archive(t1=[4, 5]), name(1, 5), None),
        (archive(t1=[4, 5]), name(1, 7), Hole(name(1, 6), 0)),  # the end was cut off
        (archive(t1=[4, 5]), name(2, 6), Hole("00000002.history", 0)),  # a whole timeline
        (
            archive({2: history(t1=6)}, t1=[4, 5, 6, 7, 8], t2=[6, 7]),
            "",
            None,
        ),  # 7 and 8 of timeline 1 were left behind
        (archive({2: history(t1=6)}, t1=[4, 5, 8], t2=[6, 7]), "", None),
        (archive({2: history(t1=6)}, t1=[4, 6, 7], t2=[6, 7]), "", Hole(name(1, 5), 4)),
        (archive({2: history(t1=6)}, t1=[4, 5, 6, 7], t2=[6, 8]), "", Hole(name(2, 7), 1)),
        (archive({2: history(t1=6)}, t1=[4, 5, 6]), "", None),  # promoted, nothing written yet
        (archive({2: history(t1=6)}, t1=[4, 5, 6]), name(1, 8), None),  # known of before a restore to a time
        (archive(t1=[4, 5], t2=[6, 7]), "", Hole("00000002.history", 2)),
        (archive({2: history(t1=6), 3: history(t1=5)}, t1=[4, 5, 6], t2=[6], t3=[5, 6]), "", None),
    ],
)
def test_holes(what: Archive, known: str, found: Hole | None) -> None:
    assert holes.find(what, name(1, 4), known) == found


@pytest.mark.parametrize(
    ("what", "last", "left_behind"),
    [
        (archive(t1=[4, 5]), name(1, 5), False),
        (archive({2: history(t1=6)}), name(1, 5), False),
        (archive({2: history(t1=6)}), name(1, 7), True),
        (archive({2: history(t1=6)}), name(2, 9), False),
        (archive({2: history(t1=6), 3: history(t1=5)}), name(2, 6), True),
    ],
)
def test_backups_that_a_restore_to_a_time_left_behind(what: Archive, last: str, left_behind: bool) -> None:
    assert holes.abandoned(what, last) is left_behind


def backup(number: int) -> Backup:
    stop = NOON + datetime.timedelta(hours=number)
    return Backup(f"backup-{number}", "full", stop, stop, 1000, 100, "17-1", name(1, number), name(1, number))


@pytest.mark.parametrize(
    ("what", "known", "hole", "bearable"),
    [
        (archive(t1=[4, 5]), "", "", False),
        (archive(t1=[4, 6, 7]), "", "2 later WAL files", True),  # they travelled at once when the machine died
        (archive(t1=[4, 6, 7]), name(1, 5), "2 later WAL files", False),  # the lease says that it was there
        (archive(t1=[4, *range(6, 20)]), "", "14 later WAL files", False),
        (archive(t1=[4], t2=[5]), "", "00000002.history", False),
    ],
)
def test_a_hole_is_borne_only_where_nothing_that_was_there_is_gone(
    what: Archive, known: str, hole: str, bearable: bool
) -> None:
    found = fetch.wanted(backup(4), what, None, known)
    assert (hole in found.hole, bool(found.hole), found.bearable) == (True, bool(hole), bearable)


def test_a_backup_without_its_own_log_is_refused() -> None:
    with pytest.raises(RefusedError, match="not consistent"):
        fetch.wanted(backup(4), archive(t1=[5, 6]), None, "")


@pytest.fixture
def damaged(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What pgBackRest says of a backup, by label; nothing said: it is whole."""
    said: dict[str, str] = {}

    def download(source: Source, one: Backup, target: object, folder: Path) -> None:
        if one.label in said:
            raise RepositoryError("pgbackrest restore: exit code 29", said[one.label])

    monkeypatch.setattr(fetch, "download", download)
    monkeypatch.setattr(holes, "read", lambda *_: archive(t1=[1, 2, 3, 4, 5]))
    return said


SOURCE = Source("s", (), [backup(1), backup(2), backup(3)])
FORMAT = "P00  ERROR: [029]: raised from local-2 protocol: zst error: [-10] Unknown frame descriptor"


@pytest.mark.parametrize(
    ("said", "target", "taken"),
    [
        ({}, None, "backup-3"),
        ({}, NOON + datetime.timedelta(hours=2.5), "backup-2"),
        ({"backup-3": FORMAT}, None, "backup-2"),
        ({"backup-3": FORMAT, "backup-2": "P00  ERROR: [039]: <Code>InvalidRange</Code>"}, None, "backup-1"),
    ],
)
def test_a_damaged_backup_is_passed_over_and_that_is_said(
    damaged: dict[str, str], said: dict[str, str], target: datetime.datetime | None, taken: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    damaged |= said
    found = fetch.fetch(SOURCE, target, Path("/nowhere"))
    assert found.backup.label == taken
    assert found.passed_over.keys() == said.keys()
    assert capsys.readouterr().out.count("can't be used, taking the one before") == len(said)


def test_a_verification_passes_nothing_over(damaged: dict[str, str]) -> None:
    damaged["backup-3"] = FORMAT
    with pytest.raises(RepositoryError):
        fetch.fetch(SOURCE, None, Path("/nowhere"), newest_only=True)


def test_a_store_that_is_away_is_no_damage(damaged: dict[str, str]) -> None:
    damaged["backup-3"] = "P00  ERROR: [049]: unable to connect to 's3:443': [111] Connection refused"
    with pytest.raises(RepositoryError):
        fetch.fetch(SOURCE, None, Path("/nowhere"))


def test_when_all_are_damaged_it_is_refused_with_every_reason(damaged: dict[str, str]) -> None:
    damaged |= dict.fromkeys(("backup-1", "backup-2", "backup-3"), FORMAT)
    with pytest.raises(RefusedError, match=r"backup-3: .*backup-1: .*make undelete-backups"):
        fetch.fetch(SOURCE, None, Path("/nowhere"))
