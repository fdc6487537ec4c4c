"""What a machine says: its console and its journal, read piece by piece."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from localcloud.backend import BackendError
from localcloud.machines import guest

FIRST = 64 * 1024  # bytes of the console that a first read gives
PIECE = 256 * 1024
LINES = 500  # of the journal that a first read gives


def console(folder: Path, start: int) -> tuple[str, int]:
    """Text from byte `start` on (below 0, or past the end of a log that began anew: its last part), and where it ends.

    A character that is only half written yet is left for the next read.
    """
    try:
        with (folder / "console.log").open("rb") as file:
            size = file.seek(0, 2)
            if not 0 <= start <= size:
                start = max(0, size - FIRST)
            file.seek(start)
            piece = file.read(PIECE)
    except FileNotFoundError:
        return "", 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(piece)
    return text, start + len(piece) - len(decoder.getstate()[0])


def journal(folder: Path, cursor: str) -> tuple[str, str]:
    """The journal since boot, or after a cursor (journalctl --show-cursor), and the cursor of its end.

    BackendError when the machine is off, ValueError when the cursor is none.
    """
    if not re.fullmatch(r"[0-9a-z;=-]{0,300}", cursor):
        raise ValueError("not a cursor of a journal")
    if not guest.is_running(folder):
        raise BackendError("the machine is off: its journal is inside it")
    command = ["journalctl", "-b", "--no-pager", "--quiet", "-o", "short-iso", "--show-cursor"]
    command += [f"--after-cursor={cursor}"] if cursor else ["-n", str(LINES)]
    text, found, rest = guest.run_inside(folder, *command, check=False).rpartition("-- cursor: ")
    return (text, rest.strip()) if found else ("", cursor)
