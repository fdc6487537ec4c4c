"""Leftovers of a killed restore are ended; and a replay ends at the newest state, or says what is missing."""

from __future__ import annotations

import datetime
import hashlib
import subprocess
from pathlib import Path

import pytest
from sekha_backup import recovery
from sekha_backup.machine import RefusedError
from sekha_backup.recovery import Wanted

RESTORE_WAL = Path(__file__).parents[3] / "cloud-init/backup/files/usr/local/lib/sekha-deploy/restore-wal"


def test_leftovers(tmp_path: Path) -> None:
    data, other = tmp_path / "restoring", tmp_path / "main"
    data.mkdir()
    other.mkdir()
    left, kept = (subprocess.Popen(["sleep", "60"], cwd=folder) for folder in (data, other))
    try:
        assert recovery.end_leftovers(data) == 1
        assert left.wait(5) == -9
        assert kept.poll() is None
        assert recovery.end_leftovers(data) == 0
    finally:
        kept.kill()
        kept.wait()


def test_a_program_that_was_told_of_the_folder_is_a_leftover_too(tmp_path: Path) -> None:
    data = tmp_path / "restoring"
    data.mkdir()
    left = subprocess.Popen(["bash", "-c", "read -r", "pgbackrest", f"--pg1-path={data}"], stdin=subprocess.PIPE)
    try:
        assert recovery.end_leftovers(data) == 1
        assert left.wait(5) == -9
    finally:
        left.kill()
        left.communicate()


LATE = (
    "LOG:  last completed transaction was at log time 2026-11-23 14:26:04.123456+00\n" + f"FATAL:  {recovery.ENDED}\n"
)
BROKEN = (
    "P00  ERROR: [082]: unable to get WAL file 'X' from the archive asynchronously after 20 second(s)\n"
    "P00  ERROR: [042]: unable to get X:\n  repo1: X-33.zst [CryptoError] unable to flush\n"
    'FATAL:  could not restore file "000000010000000000000006" from archive: child process exited with exit code 200\n'
)
END = datetime.datetime(2026, 11, 23, 14, 26, 4, 123456, datetime.UTC)
LATER = END + datetime.timedelta(seconds=1)
HOLE = "the archive lacks 000000010000000000000006 (9 later WAL files are there)"


class Script(recovery.Replay):
    """Answers of a PostgreSQL, and the settings that each try came with."""

    def __init__(self, *answers: tuple[bool, str]) -> None:
        self.answers, self.options = list(answers), list[tuple[str, ...]]()

    def run(self, *options: str) -> tuple[bool, str]:
        self.options.append(options)
        return self.answers.pop(0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(recovery, "FOLDER", tmp_path)
    return tmp_path


def wanted(target: datetime.datetime | None = None, hole: str = "", bearable: bool = False) -> Wanted:
    return Wanted(target, END - datetime.timedelta(hours=1), {"0" * 24: "ab" * 20}, hole, bearable)


def test_a_whole_archive_is_replayed_at_once(folder: Path) -> None:
    server = Script((True, LATE))
    assert recovery.replay(server, wanted()) == ("2026-11-23 14:26:04.123456+00", "")
    assert server.options == [()]
    assert (folder / "sums").read_text() == f"{'ab' * 20} {'0' * 24}\n"


def test_a_hole_is_refused_before_anything_is_opened(folder: Path) -> None:
    server = Script((False, LATE))
    with pytest.raises(RefusedError) as caught:
        recovery.replay(server, wanted(hole=HOLE))
    assert HOLE in str(caught.value)
    assert "sekha:restoreTo: 2026-11-23T14:26:04.123456+00:00" in str(caught.value)
    assert server.options[0][0].startswith("recovery_target_time=2")


def test_the_loss_that_a_hole_means_can_be_accepted_by_its_time(folder: Path) -> None:
    server = Script((False, LATE), (True, LATE))
    last, lost = recovery.replay(server, wanted(target=END, hole=HOLE))
    assert server.options == [(), ("recovery_target_time=",)]
    assert lost == f"{HOLE}: what was written after {last} is lost"


def test_what_was_still_on_its_way_is_lost_and_said(folder: Path) -> None:
    _, lost = recovery.replay(Script((True, LATE)), wanted(hole=HOLE, bearable=True))
    assert lost.startswith(HOLE)


def test_a_time_before_the_hole_is_reached_without_a_word(folder: Path) -> None:
    assert recovery.replay(Script((True, LATE)), wanted(target=END, hole=HOLE))[1] == ""


def test_a_damaged_file_is_named_and_what_can_be_had_without_it(folder: Path) -> None:
    server = Script((False, BROKEN), (False, LATE))
    with pytest.raises(RefusedError, match=r"000000010000000000000006 can't be had: .*CryptoError.*restoreTo: 2026-11"):
        recovery.replay(server, wanted())
    assert (folder / "damaged").read_text() == "000000010000000000000006\n"


def test_a_bucket_that_stays_away_ends_it_at_once(folder: Path) -> None:
    with pytest.raises(RefusedError, match="could not be replayed"):
        recovery.replay(Script((False, BROKEN), (False, BROKEN)), wanted())


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (LATE, "is after the end of the archive: the last transaction in the archive is of 2026-11-23T14:26:04.123456"),
        (f"FATAL:  {recovery.ENDED}", "no transaction was archived after the backup of 2026-11-23T13:26:04"),
        ("FATAL:  requested recovery stop point is before consistent recovery point", "before the backup was complete"),
        ("LOG: a\nFATAL:  could not find WAL\n", "FATAL:  could not find WAL"),
    ],
)
def test_a_target_that_is_not_reached_is_refused_in_words_for_the_operator(folder: Path, log: str, words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        recovery.replay(Script((False, log)), wanted(target=LATER))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("file", "code"), [("present", 0), ("missing", 1), ("asynchronously", 0), ("broken", 200), ("tampered", 200)]
)
def test_only_what_is_not_in_the_archive_ends_the_recovery(tmp_path: Path, file: str, code: int) -> None:
    """PostgreSQL opens at any exit code up to 125."""
    tool = tmp_path / "pgbackrest"
    tool.write_text(
        '#!/bin/bash\n[[ "$*" == *--no-archive-async*asynchronously* ]] && { echo y >"${@: -1}"; exit 0; }\n'
        'case "${@: -2:1}" in missing) exit 1;; asynchronously) exit 82;; broken) exit 42;; esac\n'
        'echo x >"${@: -1}"\n'
    )
    tool.chmod(0o755)
    (tmp_path / "sums").write_text(f"{hashlib.sha1(b'y').hexdigest()} tampered\n")  # noqa: S324
    command = [str(RESTORE_WAL), file, str(tmp_path / "to"), str(tmp_path), "--stanza=sekha"]
    done = subprocess.run(
        command, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    (tmp_path / "damaged").write_text(f"{file}\n")
    assert subprocess.run(command, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False).returncode == 1


@pytest.mark.parametrize(("free_gb", "megabytes"), [(0, 256), (1, 256), (8, 1024), (1000, 16384)])
def test_the_log_may_not_fill_the_disk(free_gb: int, megabytes: int) -> None:
    assert recovery.wal_room(free_gb * 2**30) == megabytes
