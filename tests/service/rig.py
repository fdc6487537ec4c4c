"""Real PostgreSQL, Chroma and service processes for the tests, each startable, stoppable and killable."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.service.databases import Database as Database
from tests.service.databases import Postgres as Postgres
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
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process.poll() is None


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

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process
        return self._process.pid

    def count(self, collection: str) -> int:
        """How many vectors a collection of the service's holds."""
        return int(httpx.get(f"{self._found(collection)}/count").raise_for_status().text)

    def lose(self, collection: str, message: str) -> None:
        """Let a collection of the service's not know a message any more, behind the service's back."""
        httpx.post(f"{self._found(collection)}/delete", json={"ids": [message]}).raise_for_status()

    def _found(self, collection: str) -> str:
        base = f"http://127.0.0.1:{self.port}/api/v2/tenants/default_tenant/databases/default_database/collections"
        return f"{base}/{httpx.get(f'{base}/{collection}').raise_for_status().json()['id']}"

    def wipe(self) -> None:
        """Forget everything (while stopped)."""
        shutil.rmtree(self._folder / "data", ignore_errors=True)


class Service:
    """The service as a real process, with a client that carries the key."""

    def __init__(
        self, folder: Path, database_url: str, chroma_port: int, settings: str = "", api_key: str = API_KEY
    ) -> None:
        self._api_key, self.source = api_key, REPO / "app" / "src"
        self.environment: dict[str, str] = {}
        self.folder, self.port, self._database_url = folder, free_port(), database_url
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "config.toml"
        self.collection = "c" + hashlib.sha256(database_url.encode()).hexdigest()[:20]
        if "[llm]" not in settings:
            settings += '[llm]\nprovider = "builtin"\n'
        self.config.write_text(
            f'[database]\nurl = "{database_url}"\n[chroma]\nhost = "127.0.0.1"\nport = {chroma_port}\n'
            f'collection_name = "{self.collection}"\n{settings}'
        )
        self.config.chmod(0o600)
        self.log = folder / "service.log"
        self.client = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=30)
        self.process: Process | None = None

    def start(self, *, healthy: bool = True) -> None:
        """Start; with `healthy`, returns when /health answers 200."""
        command = [sys.executable, "-m", "sekha_service.cli", "--config", str(self.config), "--port", str(self.port)]
        environment = {"PYTHONPATH": f"{self.source}:{extras()}", "SEKHA_API_KEY": self._api_key, **self.environment}
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

    def wait_until_indexed(self, timeout: float = 30) -> None:
        """Return when the vector index has learnt everything."""
        count = "SELECT count(*) FROM vector_outbox"
        wait_for(lambda: Database(self._database_url).execute(count) == [(0,)], timeout, "the outbox is empty")

    def metric(self, name: str) -> float:
        """The sum of a metric's samples (the store's figures are up to 5 s old)."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))
