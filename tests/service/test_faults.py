"""What an acknowledged write survives, and what happens while a dependency is away."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.service.rig import Chroma, Postgres, Service
from tests.support import wait_for


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, chroma: Chroma) -> Iterator[Service]:
    it = Service(tmp_path_factory.mktemp("fresh"), postgres.url, chroma.port, "[rate_limiting]\nenabled = false\n")
    it.start()
    yield it
    it.stop()


def test_killed_service_keeps_rows_and_finishes_the_outbox(fresh: Service) -> None:
    texts = [f"Message number {i} about gardening and flowers" for i in range(200)]
    made = [fresh.create("killed", *texts[start : start + 20]) for start in range(0, 200, 20)]
    assert fresh.process
    fresh.process.kill()
    fresh.start()
    for start, conversation in zip(range(0, 200, 20), made, strict=True):
        messages = fresh.client.get(f"/api/v1/conversations/{conversation['id']}").json()["messages"]
        assert [message["content"] for message in messages] == texts[start : start + 20]
    fresh.wait_until_indexed()
    assert len(fresh.query("flowers", {"label": "killed"}, limit=1000)) == 200


def test_without_chroma_queries_are_lexical_and_it_catches_up(fresh: Service, chroma: Chroma) -> None:
    chroma.stop()
    try:
        text = "Zebras graze on the savannah"
        fresh.create("zebras", text)
        hit = fresh.query("savannah zebra")[0]
        assert hit["content"] == text
        health = httpx.get(f"{fresh.url}/health")
        wait_for(lambda: httpx.get(f"{fresh.url}/health").json()["status"] == "degraded", 5, "health is degraded")
        assert health.status_code == 200
        assert httpx.get(f"{fresh.url}/health").json()["checks"]["chroma"]["error"]
    finally:
        chroma.start()
    fresh.wait_until_indexed()
    assert fresh.query("animals of the African plains")[0]["content"] == text
    wait_for(lambda: httpx.get(f"{fresh.url}/health").json()["status"] == "healthy", 5, "health is healthy")


def test_emptied_chroma_is_fed_everything_again(fresh: Service, chroma: Chroma) -> None:
    text = "The glacier melts in summer"
    fresh.create("ice", text)
    fresh.wait_until_indexed()
    chroma.stop()
    chroma.wipe()
    chroma.start()

    def found() -> bool:
        hits = fresh.query("melting ice", limit=1)
        return bool(hits) and hits[0]["content"] == text and "query answered by words" not in _last_lines(fresh)

    wait_for(found, 30, "the emptied index is fed again")


def _last_lines(service: Service) -> str:
    return "".join(service.log.read_text().splitlines(keepends=True)[-2:])


def test_delete_works_without_chroma(fresh: Service, chroma: Chroma) -> None:
    made = fresh.create("gone", "A text that goes away")
    chroma.stop()
    try:
        assert fresh.client.delete(f"/api/v1/conversations/{made['id']}").status_code == 200
    finally:
        chroma.start()


def test_database_away_is_503_and_recovers(fresh: Service, postgres: Postgres) -> None:
    made = fresh.create("kept", "text")
    postgres.stop()
    try:
        requests = (
            ("GET", f"/api/v1/conversations/{made['id']}", None),
            ("GET", "/api/v1/conversations", None),
            ("POST", "/api/v1/conversations", {"label": "x", "messages": []}),
            ("DELETE", f"/api/v1/conversations/{made['id']}", None),
            ("POST", "/api/v1/query", {"query": "x"}),
        )
        for method, path, body in requests:
            response = fresh.client.request(method, path, json=body)
            assert (response.status_code, response.json()["code"]) == (503, 503), path
            assert int(response.headers["Retry-After"]) >= 1
        health = httpx.get(f"{fresh.url}/health")
        assert health.status_code == 503
        assert health.json()["status"] == "unhealthy"
        assert health.json()["checks"]["database"]["error"]
    finally:
        postgres.start()
    wait_for(lambda: fresh.status() == 200, 30, "healthy again")
    assert fresh.client.get(f"/api/v1/conversations/{made['id']}").status_code == 200
    fresh.create("after", "written after the restart")
    fresh.wait_until_indexed()


def test_database_restart_between_requests_goes_unnoticed(fresh: Service, postgres: Postgres) -> None:
    made = fresh.create("kept", "text")
    postgres.stop()
    postgres.start()
    assert fresh.client.get(f"/api/v1/conversations/{made['id']}").status_code == 200
    assert fresh.create("again", "text")["message_count"] == 1


def test_service_waits_for_the_database_at_start(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, chroma: Chroma
) -> None:
    it = Service(tmp_path_factory.mktemp("early"), postgres.url, chroma.port)
    postgres.stop()
    try:
        it.start(healthy=False)
        wait_for(lambda: "database not reachable yet" in it.log.read_text(), 15, "it says what it waits for")
        assert it.process
        assert it.process.alive
    finally:
        postgres.start()
    wait_for(lambda: it.status() == 200, 30, "healthy")
    it.stop()


def test_exhausted_pool_is_503(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, chroma: Chroma) -> None:
    import psycopg

    limits = "[rate_limiting]\nenabled = false\n"
    it = Service(tmp_path_factory.mktemp("small"), f"{postgres.url}", chroma.port, limits)
    text = it.config.read_text()
    it.config.write_text(
        text.replace("[database]\n", "[database]\nmax_connections = 3\nconnection_timeout_seconds = 1\n")
    )
    it.start()
    made = it.create("locked", "text")
    with psycopg.connect(postgres.url) as blocker, httpx.Client(base_url=it.url, headers=it.client.headers) as second:
        blocker.execute("LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(httpx.ReadTimeout):
            second.get(f"/api/v1/conversations/{made['id']}", timeout=0.5)
        start = time.monotonic()
        response = it.client.get(f"/api/v1/conversations/{made['id']}")
        assert response.status_code == 503
        assert it.status() == 200, "a busy pool is no sign of a database that is away"
        assert time.monotonic() - start < 15, "bounded well below the clients' 30 s"
        blocker.rollback()
    wait_for(lambda: it.client.get(f"/api/v1/conversations/{made['id']}").status_code == 200, 30, "recovers")
    it.stop()
