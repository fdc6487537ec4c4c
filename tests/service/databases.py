"""The databases of the tests: a PostgreSQL cluster of our own, and one database on it or on SQLite."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg


class Postgres:
    """A PostgreSQL cluster in a temporary folder, on a Unix socket, run by an unprivileged user."""

    settings = "-c fsync=off"

    def __init__(
        self, filled: Path | None = None, within: Path | None = None, environment: dict[str, str] | None = None
    ) -> None:
        """A new cluster; with `filled`, on a copy of that stopped one's data folder. `within`: a folder for it."""
        self._made, self._environment = 0, environment or {}
        self._bin = _postgres_binaries()
        self._user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
        self.folder = Path(tempfile.mkdtemp(prefix="sekha-pg-", dir=within))
        if self._user:
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
        self.url = f"postgresql://sekha@/sekha?host={self.folder}"
        if filled is not None:
            subprocess.run(["cp", "-a", "--reflink=auto", str(filled), self._data], check=True)
            self.start()
            return
        self._run("initdb", "-D", self._data, "-U", "sekha", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()
        self._run("createdb", "-h", str(self.folder), "-U", "sekha", "sekha")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._user, str(self._bin / program), *arguments]
        environment = {**os.environ, **self._environment}
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, env=environment)

    def start(self) -> None:
        """Start; returns when it accepts connections."""
        options = f"-h '' -k {self.folder} {self.settings}"
        self._run("pg_ctl", "-D", self._data, "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop at once, breaking all connections; `fast` leaves nothing to recover."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop")

    @property
    def pid(self) -> int:
        """Its first process, while it runs."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def accepts(self) -> bool:
        """Whether it takes connections."""
        command = [str(self._bin / "pg_isready"), "-q", "-h", str(self.folder)]
        return subprocess.run(command).returncode == 0

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        self._made += 1
        self._run("createdb", "-h", str(self.folder), "-U", "sekha", f"sekha{self._made}")
        return f"postgresql://sekha@/sekha{self._made}?host={self.folder}"

    def close(self) -> None:
        """Stop and remove."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def server_version() -> str:
    """What PostgreSQL's server programs say of their version."""
    command = [str(_postgres_binaries() / "postgres"), "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _postgres_binaries() -> Path:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = [folder for folder in folders if (folder / "initdb").exists()]
    if not found and shutil.which("initdb"):
        return Path(str(shutil.which("initdb"))).parent
    if not found and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"], check=True)
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert found, "PostgreSQL's server programs are missing: apt-get install postgresql"
    return found[-1]


class Database:
    """One empty database for a service, on PostgreSQL or SQLite, and a way to look into it."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite."""
        return self.url.startswith("sqlite://")

    @property
    def path(self) -> Path:
        """SQLite's file."""
        return Path(self.url.removeprefix("sqlite://"))

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement of our own, committed; returns its rows, if it has any."""
        if self.is_sqlite:
            file = sqlite3.connect(self.path, timeout=10)
            try:
                with file:
                    return file.execute(sql).fetchall()
            finally:
                file.close()
        with psycopg.connect(self.url, autocommit=True) as server:
            cursor = server.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []
