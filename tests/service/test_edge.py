"""Contract 0: keys, errors, limits, logs, CORS; 1.19 health and 1.20 metrics."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.rig import API_KEY, OTHER_KEY, Chroma, Database, Service
from tests.support import wait_for

STATS = "/api/v1/conversations/count"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, database: Database, chroma: Chroma) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("edge")
    digest = hashlib.sha256(OTHER_KEY.encode()).hexdigest()
    settings = (
        f'[server]\napi_key_hashes = ["sha256:{digest}"]\n'
        "[rate_limiting]\nrequests_per_second = 0.01\nburst_size = 20\n"
        '[security]\ncors_allowed_origins = ["https://app.example"]\nmax_request_size_mb = 0.01\n'
        f'[logging]\nfile = "{folder / "log" / "sekha.log"}"\n'
    )
    it = Service(folder, database.url, chroma.port, settings)
    it.start()
    yield it
    it.stop()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {API_KEY}"},
        {"Authorization": f"bEaReR   {API_KEY}"},
        {"X-API-Key": API_KEY},
        {"Authorization": f"Bearer {OTHER_KEY}"},
    ],
)
def test_keys_accepted(edge: Service, headers: dict[str, str]) -> None:
    assert httpx.get(f"{edge.url}{STATS}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Basic {API_KEY}"},
        {"Authorization": API_KEY},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {API_KEY}x"},
        {"X-API-Key": "nonsense"},
    ],
)
@pytest.mark.parametrize("path", [STATS, "/nowhere"])
def test_keys_refused(edge: Service, headers: dict[str, str], path: str) -> None:
    # An address of its own for each case: refusals are rate-limited by address.
    address = "203.0.113." + str(int(hashlib.sha256(f"{headers}{path}".encode()).hexdigest(), 16) % 250)
    response = httpx.get(f"{edge.url}{path}", headers={**headers, "X-Forwarded-For": address})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json() == {"error": "Invalid or missing API key", "code": 401}


def test_mcp_errors_have_the_envelope(edge: Service) -> None:
    headers = {"X-Forwarded-For": "192.0.2.77"}
    body = httpx.post(f"{edge.url}/mcp/tools/memory_store", headers=headers).json()
    assert body == {"success": False, "data": None, "error": "Invalid or missing API key", "code": 401}


def test_unknown_route_and_method(service: Service) -> None:
    for path in ("/nowhere", "/api/v1/conversations/", "/mcp/tools/unknown"):
        response = service.client.post(path)
        assert (response.status_code, response.json()["code"]) == (404, 404)
    response = service.client.patch("/api/v1/conversations")
    assert (response.status_code, response.json()) == (405, {"error": "Method not allowed", "code": 405})
    assert "POST" in response.headers["Allow"]


def test_body_limit(edge: Service) -> None:
    big = b'{"label": "' + b"x" * 20_000 + b'"}'
    headers = {"Authorization": f"Bearer {OTHER_KEY}"}
    address = f"{edge.url}/api/v1/conversations"
    response = httpx.post(address, content=big, headers=headers)
    assert (response.status_code, response.json()["code"]) == (413, 413)
    chunked = httpx.post(address, content=iter([big[:9000], big[9000:]]), headers=headers)
    assert (chunked.status_code, chunked.json()["code"]) == (413, 413)


def test_rate_limit(edge: Service) -> None:
    headers = {"X-Forwarded-For": "198.18.0.1", "Authorization": "Bearer wrong"}
    answers = [httpx.get(f"{edge.url}{STATS}", headers=headers) for _ in range(22)]
    assert [response.status_code for response in answers] == [401] * 20 + [429] * 2
    assert [int(response.headers["X-RateLimit-Remaining"]) for response in answers[:20]] == list(range(19, -1, -1))
    last = answers[-1]
    assert last.json() == {"error": "Rate limit exceeded", "code": 429}
    assert last.headers["X-RateLimit-Limit"] == "20"
    assert 1 <= int(last.headers["Retry-After"]) <= 100
    assert httpx.get(f"{edge.url}/health", headers=headers).status_code == 200, "/health is never limited"
    other = httpx.get(f"{edge.url}{STATS}", headers={**headers, "X-Forwarded-For": "198.18.0.2"})
    assert other.status_code == 401, "another address has its own bucket"


def test_cors(edge: Service) -> None:
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    response = httpx.options(f"{edge.url}{STATS}", headers=preflight)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
    stranger = httpx.options(f"{edge.url}{STATS}", headers={**preflight, "Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers


def test_request_line_in_the_log(edge: Service) -> None:
    headers = {"X-Request-ID": "my-id.1", "X-Forwarded-For": "evil, 203.0.113.250, 10.0.0.1"}
    response = httpx.get(f"{edge.url}{STATS}?label=secret", headers=headers)
    assert response.headers["X-Request-ID"] == "my-id.1"
    unacceptable = httpx.get(f"{edge.url}/health", headers={"X-Request-ID": "no spaces"})
    assert re.fullmatch(r"[0-9a-f]{16}", unacceptable.headers["X-Request-ID"])
    for log in (edge.log, edge.folder / "log" / "sekha.log"):
        line = next(line for line in log.read_text().splitlines() if "my-id.1" in line)
        entry = json.loads(line)
        order = ["timestamp", "level", "message", "request_id", "method", "path", "status", "duration_ms", "ip"]
        assert list(entry) == order
        assert (entry["level"], entry["path"], entry["ip"]) == ("INFO", STATS, "203.0.113.250")
        assert re.search(r'"status":401.*"ip":"203\.0\.113\.250"', line), "what fail2ban looks for"
        assert API_KEY not in log.read_text()


def test_log_file_is_reopened_after_rotation(edge: Service) -> None:
    log = edge.folder / "log" / "sekha.log"
    log.rename(Path(f"{log}.1"))
    httpx.get(f"{edge.url}/health", headers={"X-Request-ID": "after-rotation"})
    wait_for(lambda: log.exists() and "after-rotation" in log.read_text(), 5, "a new log file")


def test_health(service: Service) -> None:
    response = httpx.get(f"{service.url}/health", headers={"Authorization": "Bearer wrong"})
    body = response.json()
    assert response.status_code == 200
    assert list(body) == ["status", "version", "timestamp", "uptime_seconds", "checks"]
    assert body["status"] == "healthy"
    assert body["timestamp"].endswith("Z")
    assert list(body["checks"]) == ["database", "chroma", "llm_bridge"]
    for check in body["checks"].values():
        assert check["status"] == "ok"
        assert check["latency_ms"] >= 0
    head = httpx.head(f"{service.url}/health")
    assert (head.status_code, head.content) == (200, b"")


def test_metrics(service: Service) -> None:
    service.client.get("/api/v1/conversations/00000000-0000-4000-8000-000000000000")
    service.client.get("/not/a/route")
    response = httpx.get(f"{service.url}/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = response.text
    path = "/api/v1/conversations/{id}"
    assert f'sekha_http_requests_total{{method="GET",path="{path}",status="404"}}' in text
    assert 'path="unmatched",status="404"' in text
    assert f'sekha_http_request_duration_seconds_bucket{{le="0.001",method="GET",path="{path}"}}' in text
    for name in ('sekha_conversations_total{status="active"}', 'sekha_conversations_total{status="archived"}'):
        assert name in text
    assert service.metric("sekha_database_size_bytes") > 1e5
    assert service.metric("sekha_messages_total") >= 0
