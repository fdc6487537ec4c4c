"""Real PostgreSQL, Chroma and service processes for the tests, each startable, stoppable and killable."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.support import wait_for

REPO = Path(__file__).resolve().parents[2]
API_KEY = "sk-sekha-0123456789abcdefghijklmnopqrstuv"
OTHER_KEY = "sk-sekha-vutsrqponmlkjihgfedcba9876543210"


def free_port() -> int:
    """A TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cache() -> Path:
    """The project's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("SEKHA_CACHE") or base / "sekha-deploy")


def extras() -> Path:
    """A folder with chromadb's server and the model, installed once from the service's lock files."""
    locks = [REPO / "app" / name for name in ("chroma-requirements.txt", "model-requirements.txt")]
    key = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()[:16]
    folder = cache() / "service-extras" / key
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["uv", "pip", "install", "-q", "--no-deps", "--require-hashes", "--python", sys.executable]
        arguments = [part for lock in locks for part in ("-r", str(lock))]
        environment = {**os.environ, "UV_NATIVE_TLS": "true"}
        subprocess.run([*command, "--target", str(folder), *arguments], check=True, env=environment)
        (folder / ".complete").touch()
    return folder


def controller(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `sekha-controller` to its end."""
    paths = f"{REPO / 'app' / 'src'}:{extras()}"
    return subprocess.run(
        [sys.executable, "-m", "sekha_service.cli", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


class Postgres:
    """A PostgreSQL cluster in a temporary folder, on a Unix socket, run by an unprivileged user."""

    def __init__(self) -> None:
        self._made = 0
        self._bin = _postgres_binaries()
        self._user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
        self.folder = Path(tempfile.mkdtemp(prefix="sekha-pg-"))
        if self._user:
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
        self._run("initdb", "-D", self._data, "-U", "sekha", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.url = f"postgresql://sekha@/sekha?host={self.folder}"
        self.start()
        self._run("createdb", "-h", str(self.folder), "-U", "sekha", "sekha")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._user, str(self._bin / program), *arguments], check=True, cwd="/", stdout=subprocess.DEVNULL
        )

    def start(self) -> None:
        """Start; returns when it accepts connections."""
        options = f"-h '' -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", self._data, "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        """Stop at once, breaking all connections."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

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


class Process:
    """A process of ours with its output in a file."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **environment})

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(10)

    def terminate(self, timeout: float = 20) -> int:
        """SIGTERM; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def wait(self, timeout: float = 20) -> int:
        """Wait for the end; returns the exit code."""
        return self._process.wait(timeout)

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process.poll() is None


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


class Chroma:
    """Chroma's server on a port of its own; `start` after `stop` finds its data again unless `wipe` was called."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self._process: Process | None = None
        self.start()

    def start(self) -> None:
        """Start; returns when it answers."""
        code = "import sys, chromadb_rust_bindings as b; b.cli(['chroma'] + sys.argv[1:])"
        arguments = ["run", "--path", str(self._folder / "data"), "--host", "127.0.0.1", "--port", str(self.port)]
        command = [sys.executable, "-c", code, *arguments]
        self._process = Process(command, self._folder / "chroma.log", {"PYTHONPATH": str(extras())})
        wait_for(self._answers, 30, "Chroma answers")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/api/v2/heartbeat").status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """kill -9."""
        if self._process:
            self._process.kill()
            self._process = None

    def wipe(self) -> None:
        """Forget everything (while stopped)."""
        shutil.rmtree(self._folder / "data", ignore_errors=True)


class Service:
    """The service as a real process, with a client that carries the key."""

    def __init__(
        self, folder: Path, database_url: str, chroma_port: int, settings: str = "", api_key: str = API_KEY
    ) -> None:
        self._api_key, self.source = api_key, REPO / "app" / "src"
        self.folder, self.port, self._database_url = folder, free_port(), database_url
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "config.toml"
        collection = "c" + hashlib.sha256(database_url.encode()).hexdigest()[:20]
        if "[llm]" not in settings:
            settings += '[llm]\nprovider = "builtin"\n'
        self.config.write_text(
            f'[database]\nurl = "{database_url}"\n[chroma]\nhost = "127.0.0.1"\nport = {chroma_port}\n'
            f'collection_name = "{collection}"\n{settings}'
        )
        self.config.chmod(0o600)
        self.log = folder / "service.log"
        self.client = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=30)
        self.process: Process | None = None

    def start(self, *, healthy: bool = True) -> None:
        """Start; with `healthy`, returns when /health answers 200."""
        command = [sys.executable, "-m", "sekha_service.cli", "--config", str(self.config), "--port", str(self.port)]
        environment = {"PYTHONPATH": f"{self.source}:{extras()}", "SEKHA_API_KEY": self._api_key}
        self.process = Process(command, self.log, environment)
        if healthy:
            wait_for(lambda: self.status() == 200, 30, f"the service is healthy, see {self.log}")

    def status(self) -> int:
        """The status of /health; 0 when nothing answers."""
        try:
            return httpx.get(f"{self.url}/health").status_code
        except httpx.HTTPError:
            return 0

    def stop(self) -> None:
        """Stop it if it runs."""
        self.client.close()
        if self.process and self.process.alive:
            self.process.terminate()

    def create(self, label: str = "A label", *contents: str, **more: Any) -> dict[str, Any]:
        """Create a conversation; returns the answer."""
        messages = [{"role": "user", "content": content} for content in contents]
        response = self.client.post("/api/v1/conversations", json={"label": label, "messages": messages, **more})
        assert response.status_code == 201, response.text
        return dict(response.json())

    def query(self, text: str, filters: dict[str, Any] | None = None, **more: Any) -> list[dict[str, Any]]:
        """The hits of a query."""
        response = self.client.post("/api/v1/query", json={"query": text, "filters": filters, **more})
        assert response.status_code == 200, response.text
        return list(response.json()["results"])

    def wait_until_indexed(self) -> None:
        """Return when the vector index has learnt everything."""
        count = "SELECT count(*) FROM vector_outbox"
        wait_for(lambda: Database(self._database_url).execute(count) == [(0,)], 30, "the outbox is empty")

    def metric(self, name: str) -> float:
        """The sum of a metric's samples (the store's figures are up to 5 s old)."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))
