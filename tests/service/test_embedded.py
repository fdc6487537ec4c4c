"""Search without Chroma: SQLite alone, exact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.rig import Database, Service, free_port
from tests.support import wait_for

TEXTS = ["The cat sleeps on the warm sofa", "PostgreSQL stores rows in tables", "Boil the pasta for ten minutes"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("embedded")
    it = Service(folder, f"sqlite://{folder}/sekha.db", free_port(), "")
    text = it.config.read_text().replace("[chroma]\n", '[chroma]\nmode = "embedded"\n')
    it.config.write_text(text + "[rate_limiting]\nenabled = false\n[server]\nworkers = 2\n")
    it.start()
    yield it
    it.stop()


def test_finds_by_meaning_and_forgets(small: Service) -> None:
    made = [small.create(f"c{i}", text) for i, text in enumerate(TEXTS)]
    small.wait_until_indexed()
    for _ in range(6):  # both workers
        hits = httpx.post(
            f"{small.url}/api/v1/query", json={"query": "a kitten having a nap"}, headers=small.client.headers
        ).json()["results"]
        assert (hits[0]["content"], len(hits)) == (TEXTS[0], 3)
    exact = small.query(TEXTS[1])[0]
    assert (exact["content"], exact["score"]) == (TEXTS[1], pytest.approx(1.0, abs=1e-3))
    assert "query answered by words" not in small.log.read_text()
    assert httpx.get(f"{small.url}/health").json()["checks"]["chroma"]["status"] == "ok"
    small.client.delete(f"/api/v1/conversations/{made[0]['id']}")
    assert TEXTS[0] not in [hit["content"] for hit in small.query("a kitten having a nap")]
    late = "A tractor ploughs the field"
    small.create("late", late)
    wait_for(lambda: small.query("farming machine")[0]["content"] == late, 10, "new messages are found")


def test_a_rebuild_takes_the_new_vectors(small: Service) -> None:
    data = Database(f"sqlite://{small.folder}/sekha.db")
    data.execute("UPDATE embeddings SET dim = 1")
    assert small.client.post("/api/v1/rebuild-embeddings").status_code == 202
    wait_for(lambda: data.execute("SELECT count(*) FROM embeddings WHERE dim = 1") == [(0,)], 20, "all are new")
    assert small.query(TEXTS[2])[0]["content"] == TEXTS[2]
