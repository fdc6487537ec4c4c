"""What is told of a machine that says nothing: a refused key, an address that answers or not, a changed bucket."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from infra import release, release_facts
from infra.object_store import StoreConfig


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[StoreConfig]:
    """An object store that answers every request with the status it was asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    yield StoreConfig(endpoint, "r1", "bucket", "path", "", "operator", "secret", node_access_key="node")
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("store", "found"), [(200, ""), (403, "HTTP 403"), (401, "HTTP 401"), (404, "")], indirect=["store"]
)
def test_a_refused_key_is_found_out_from_here(store: StoreConfig, found: str) -> None:
    why = release_facts.refused_key(store, "n1", "node-secret")
    assert why.startswith(found) if found else why == ""


@pytest.mark.parametrize("store", [403], indirect=True)
def test_a_key_that_the_cloud_gives_is_not_tried(store: StoreConfig) -> None:
    assert release_facts.refused_key(store, "n1", "") == ""


def test_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.setattr(release_facts, "PORTS", (listener.getsockname()[1],))
        assert "is open" in release_facts.reach("127.0.0.1")
    assert "it refuses port" in release_facts.reach("127.0.0.1")

    def cut(*_: object) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", cut)
    assert "answers on no port" in release_facts.reach("198.51.100.9")


def test_a_desired_state_that_somebody_changed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_facts, "reach", lambda address: f"{address} is fine")

    class Bucket:
        def read_json(self, key: str) -> dict[str, Any]:
            assert key == "desired/n1"
            return {"manifest": "as published"}

    bucket: Any = Bucket()
    assert release.told(bucket, "n1", "as published", "198.51.100.9") == "198.51.100.9 is fine"
    assert "somebody else changed or removed desired/n1" in release.told(bucket, "n1", "other", "198.51.100.9")
