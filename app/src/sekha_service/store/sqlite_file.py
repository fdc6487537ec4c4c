"""SQLite: the database file - its place, its permissions, and connections with the service's settings."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

BUSY_SECONDS = 5.0
# WAL + NORMAL: a commit is in the file system's cache when it is acknowledged. It survives the death of every process;
# a power cut can take the commits since the last checkpoint with it, and leaves the file intact.
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -64000",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 30000000000",
    "PRAGMA foreign_keys = ON",
)


def is_sqlite(url: str) -> bool:
    """Whether a database URL means SQLite."""
    return urlsplit(url).scheme == "sqlite"


def path_of(url: str) -> Path:
    """The file of `sqlite://PATH[?...]` (`sqlite:///srv/x.db` is /srv/x.db); `~` is the home folder."""
    path = url.removeprefix("sqlite://").partition("?")[0]
    return Path(path).expanduser().absolute()


def prepare(path: Path) -> None:
    """Make the file (mode 0600) and its folder (0700) if they are missing. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():  # never open an existing one by other means: closing it would drop SQLite's locks
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, usable from any one thread at a time. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
