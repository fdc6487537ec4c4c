"""A local cloud with an in-memory backend, served on a real loopback port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from hcloud import Client

from localcloud.api.app import create_app
from localcloud.fake_backend import FakeBackend
from localcloud.store import Store
from localcloud.worker import Cloud, Settings
from tests.support import wait_for

Json = dict[str, Any]


@dataclass
class Rig:
    """A running cloud and ways to ask it."""

    cloud: Cloud
    backend: FakeBackend
    token: str
    endpoint: str

    def __post_init__(self) -> None:
        self._http = self.http()

    def client(self, token: str | None = None) -> Client:
        """The real hcloud-python client; polls fast."""
        return Client(token or self.token, api_endpoint=self.endpoint, poll_interval=0.02)

    def http(self, token: str | None = None) -> httpx.Client:
        """A plain HTTP client with the token."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=self.endpoint, headers=headers, timeout=20, verify=False)  # noqa: S501 - plain HTTP

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def ask(self, method: str, path: str, body: Any = None, status: int | None = None) -> Json:
        """Send JSON, expect a status, return the JSON ({} if there is none)."""
        response = self._http.request(method, path, json=body) if body is not None else self._http.request(method, path)
        assert status in (None, response.status_code), response.text
        return dict(response.json()) if response.content else {}

    def done(self, answer: Json) -> Json:
        """Wait for all actions of an answer; returns the answer."""
        actions = [answer.get("action"), *answer.get("actions", []), *answer.get("next_actions", [])]
        for action in filter(None, actions):
            ended = self.end_of(f"/actions/{action['id']}")
            assert ended["status"] == "success", ended
        return answer

    def end_of(self, path: str) -> Json:
        """The action at that path, once it is not running any more."""

        def ended() -> Json | None:
            action = self.ask("GET", path, status=200)["action"]
            return dict(action) if action["status"] != "running" else None

        return wait_for(ended, 10, f"the action {path} ends", 0.01) or {}

    def error(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Send JSON that must be refused; returns HTTP status and error code."""
        response = self._http.request(method, path, json=body) if body is not None else self._http.request(method, path)
        error = response.json()["error"]
        assert set(error) == {"code", "message", "details"}
        if error["code"] == "invalid_input":  # without details the Terraform provider panics
            assert [set(row) for row in error["details"]["fields"]] == [{"name", "messages"}]
        return response.status_code, error["code"]


@pytest.fixture(scope="session")
def key() -> str:
    """An SSH public key."""
    return "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGSoo5oNlIIHMYRWVGUjpUdrR4ZFtOZ0ZBHd4JjbLNHn t@t"


def serve(cloud: Cloud) -> tuple[uvicorn.Server, threading.Thread, str]:
    """Serve the cloud's API on a free loopback port; returns server, thread, endpoint."""
    server = uvicorn.Server(uvicorn.Config(create_app(cloud), port=0, log_level="warning", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started, 10, "the API listens", 0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    return server, thread, f"http://127.0.0.1:{port}/v1"


@contextmanager
def running(path: Path, backend: FakeBackend, token: str, settings: Settings | None = None) -> Iterator[Rig]:
    """A cloud on that state file, served until the block ends."""
    store = Store(path)
    cloud = Cloud(store, backend, settings or Settings())
    cloud.start()
    server, thread, endpoint = serve(cloud)
    rig = Rig(cloud, backend, token, endpoint)
    try:
        yield rig
    finally:
        rig.close()
        server.should_exit = True
        thread.join()
        cloud.stop()
        store.close()


@pytest.fixture
def settings() -> Settings:
    """Overridden by tests that want a stricter API."""
    return Settings()


@pytest.fixture
def rig(tmp_path: Path, settings: Settings) -> Iterator[Rig]:
    """An empty project in a running cloud."""
    with closing(Store(tmp_path / "state.db")) as store:
        token = store.add_token(store.add_project("test"))
    with running(tmp_path / "state.db", FakeBackend(), token, settings) as rig:
        yield rig
