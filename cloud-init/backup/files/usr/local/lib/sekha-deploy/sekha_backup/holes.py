"""Whether the archive is whole: from a backup's first WAL file to the newest, without a hole.

PostgreSQL takes a WAL file that is not in the archive for the archive's end: it would stop there, promote, and all that
came after would be lost without a word. So the names are looked at before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sekha_backup import repository
from sekha_backup.machine import STANZA
from sekha_backup.repository import Backup

SEGMENT = re.compile(r"^([0-9A-F]{24})-([0-9a-f]{40})(\.\w+)?$")  # pgBackRest adds checksum and kind of compression
SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")
FOLDER, HISTORY = re.compile(r"[0-9A-F]{16}"), re.compile(r"[0-9A-F]{8}\.history")
SWITCH = re.compile(r"^\s*(\d+)\s+([0-9A-F]+)/([0-9A-F]+)", re.MULTILINE)  # a line of a timeline's history file
SIZE = 4 << 20  # bytes of a WAL file: apply-postgres makes clusters so
Named = tuple[int, int]  # a WAL file: timeline, and its number since the cluster began


@dataclass(frozen=True)
class Hole:
    """`missing`: the first file that is not there; `later`: how many WAL files of after it are there, which nobody can
    replay without it."""

    missing: str
    later: int

    def __str__(self) -> str:
        after = f"{self.later} later WAL files are there" if self.later else "it was archived once"
        return f"the archive lacks {self.missing} ({after})"


@dataclass(frozen=True)
class Archive:
    """What the repository holds of a backup's archive. `sums`: WAL file -> SHA-1 of its content (pgBackRest names files
    so); `histories`: timeline -> its history file's text, which tells of all before (of the newest; "" of others)."""

    sums: Mapping[str, str]
    histories: Mapping[int, str]


def number(name: str) -> Named:
    """Timeline and number of a WAL file's name (xlog_internal.h, XLogFromFileName)."""
    return int(name[:8], 16), int(name[8:16], 16) * (2**32 // SIZE) + int(name[16:24], 16)


def name_of(file: Named) -> str:
    """The name of a WAL file."""
    high, low = divmod(file[1], 2**32 // SIZE)
    return f"{file[0]:08X}{high:08X}{low:08X}"


def way(history: str, newest: int) -> list[tuple[int, int | None]]:
    """The timelines that lead to `newest`, each with the number of the WAL file in which the next one begins."""
    switches = [(int(t), ((int(h, 16) << 32) + int(low, 16)) // SIZE) for t, h, low in SWITCH.findall(history)]
    return [*switches, (newest, None)]


def _newest(archive: Archive, begin: int, known: str) -> int:
    """The newest timeline that anything tells of."""
    return max([begin, *archive.histories, *(number(name)[0] for name in [*archive.sums, *([known] if known else [])])])


def abandoned(archive: Archive, last: str) -> bool:
    """Whether a backup whose last WAL file is `last` lies on a branch that a restore to an earlier time left behind:
    nothing leads from it to the newest state."""
    timeline, at = number(last)
    newest = _newest(archive, timeline, "")
    ends = dict(way(archive.histories.get(newest, ""), newest))
    if newest == timeline or newest not in archive.histories:
        return False
    end = ends.get(timeline, -1)
    return end is not None and end < at


def find(archive: Archive, start: str, known: str = "") -> Hole | None:
    """The first hole after WAL file `start`, where a backup begins; None: a replay reaches the newest state.

    `known`: a WAL file that was archived for certain ("": none is known).
    """
    there = {number(name) for name in archive.sums}
    begin = number(start)
    sure = number(known) if known else begin
    newest = _newest(archive, begin[0], known)
    for timeline in range(begin[0] + 1, newest + 1):
        if timeline not in archive.histories:  # PostgreSQL looks for one after the other, and ends where one is missing
            return Hole(f"{timeline:08X}.history", sum(file[0] >= timeline for file in there))
    at = begin[1]
    for timeline, end in way(archive.histories.get(newest, ""), newest):
        if timeline < begin[0]:
            continue
        if end is None:
            found = [file[1] for file in (*there, sure) if file[0] == timeline and file[1] >= at]
            end = max(found, default=at - 1) + 1
        for one in range(at, end):
            if (timeline, one) not in there:
                later = sum(file[0] >= timeline and file[1] > one for file in there)
                return Hole(name_of((timeline, one)), later)
        at = max(at, end)
    return None


def read(backup: Backup, source: Sequence[str] = ()) -> Archive:
    """The archive from a backup's beginning on, by the names in it. Raises RefusedError when it can't be read."""
    top = f"archive/{STANZA}/{backup.archive}"
    names = _names(top, source)
    folders = [name for name in names if FOLDER.fullmatch(name) and name[8:] >= backup.wal_start[8:16]]
    files = [name for folder in folders for name in _names(f"{top}/{folder}", source)]
    told = sorted(name for name in names if HISTORY.fullmatch(name))
    texts = {int(name[:8], 16): "" for name in told}
    for name in told[-1:]:
        texts[int(name[:8], 16)] = repository.pgbackrest(*source, "repo-get", f"{top}/{name}")
    return Archive({match[1]: match[2] for name in files if (match := SEGMENT.match(name))}, texts)


def _names(path: str, source: Sequence[str]) -> list[str]:
    quiet = ("--log-level-console=off", "--log-level-stderr=error")
    rows: dict[str, object] = json.loads(repository.pgbackrest(*source, *quiet, "repo-ls", "--output=json", path))
    return list(rows)
