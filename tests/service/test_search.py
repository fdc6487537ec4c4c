"""Contract 1.7 and 1.8: finding messages by meaning and by words."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest

from tests.service.rig import Chroma, Database, Service
from tests.support import wait_for

TEXTS = {
    "animals": ["The cat sleeps on the warm sofa", "Dogs love to run in the park"],
    "databases": ["PostgreSQL stores rows in tables", "An index makes a query in the database faster"],
    "cooking": ["Boil the pasta for ten minutes", "Bake the bread until it is golden"],
}


@pytest.fixture(scope="module")
def ids(service: Service) -> dict[str, str]:
    made = {
        label: service.create(label, *texts, folder=f"/{label}", importance_score=score)["id"]
        for (label, texts), score in zip(TEXTS.items(), (2, 5, 10), strict=True)
    }
    service.client.put(f"/api/v1/conversations/{made['cooking']}/archive")
    service.wait_until_indexed()
    return made


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("a kitten having a nap", TEXTS["animals"][0]),
        ("speeding up SQL", TEXTS["databases"][1]),
        ("recipe for spaghetti", TEXTS["cooking"][0]),
    ],
)
def test_finds_by_meaning(service: Service, ids: dict[str, str], text: str, best: str) -> None:
    response = service.client.post("/api/v1/query", json={"query": text, "limit": 3})
    body = response.json()
    assert {key: body[key] for key in ("total", "page", "page_size", "query")} == {
        "total": 3, "page": 1, "page_size": 3, "query": text,
    }  # fmt: skip
    scores = [hit["score"] for hit in body["results"]]
    assert body["results"][0]["content"] == best
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    keys = "conversation_id message_id score similarity content metadata label folder timestamp created_at"
    assert set(keys.split()) <= set(body["results"][0])


def test_exact_text_scores_one_and_embedding_is_noted(service: Service, ids: dict[str, str]) -> None:
    hit = service.query(TEXTS["databases"][0])[0]
    assert hit["score"] == pytest.approx(1.0, abs=1e-3)
    messages = service.client.get(f"/api/v1/conversations/{ids['databases']}").json()["messages"]
    assert [message["embedding_id"] for message in messages] == [message["id"] for message in messages]


@pytest.mark.parametrize(
    ("filters", "labels"),
    [
        ({"label": "DATA"}, {"databases"}),
        ({"labels": ["animals", "cooking"]}, {"animals", "cooking"}),
        ({"filter_labels": ["animals"], "labels": ["animals", "cooking"]}, {"animals"}),
        ({"labels": []}, set()),
        ({"folder": "/animals"}, {"animals"}),
        ({"folder": "/"}, {"animals", "databases", "cooking"}),
        ({"folders": ["/animals", "/cooking"]}, {"animals", "cooking"}),
        ({"excluded_folders": ["/animals", "/data"]}, {"databases", "cooking"}),
        ({"status": "archived"}, {"cooking"}),
        ({"archived": False}, {"animals", "databases"}),
        ({"pinned": True}, {"cooking"}),
        ({"role": "assistant"}, set()),
        ({"importance_min": 3, "importance_max": 9}, {"databases"}),
        ({"date_from": "2020-01-01"}, {"animals", "databases", "cooking"}),
        ({"date_to": "2020-01-01T00:00:00Z"}, set()),
        ({"unknown": 1, "label": None}, {"animals", "databases", "cooking"}),
    ],
)
def test_filters(service: Service, ids: dict[str, str], filters: dict[str, Any], labels: set[str]) -> None:
    hits = service.query("a kitten having a nap", filters)
    assert {hit["label"] for hit in hits} == labels
    assert len(hits) == 2 * len(labels)
    nothing_else = service.query("a kitten having a nap", filters, limit=1)
    assert nothing_else == hits[:1], "filters apply before the limit"
    by_time = service.query("", filters)
    assert {hit["label"] for hit in by_time} == labels


def test_filter_by_conversation(service: Service, ids: dict[str, str]) -> None:
    hits = service.query("anything", {"conversation_id": ids["cooking"]})
    assert {hit["conversation_id"] for hit in hits} == {ids["cooking"]}


def test_pages(service: Service, ids: dict[str, str]) -> None:
    everything = service.query("a kitten", limit=100)
    assert len(everything) == 6
    pages = [service.query("a kitten", limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [hit for page in pages for hit in page] == everything


def test_empty_query_is_newest_first(service: Service, ids: dict[str, str]) -> None:
    hits = service.query("  ")
    assert [hit["score"] for hit in hits] == [0.0] * 6
    times = [hit["timestamp"] for hit in hits]
    assert times == sorted(times, reverse=True)


def test_deleted_is_not_found(service: Service, ids: dict[str, str]) -> None:
    text = "Volcanoes erupt with lava"
    made = service.create("volcano", text)
    service.wait_until_indexed()
    assert service.query(text)[0]["content"] == text
    service.client.delete(f"/api/v1/conversations/{made['id']}")
    assert text not in [hit["content"] for hit in service.query(text)]


def test_what_the_index_lost_is_found_by_its_words(service: Service, ids: dict[str, str], chroma: Chroma) -> None:
    """The index is approximate: it loses a message now and then. Here it is made to."""
    text = "Bassoons and oboes have double reeds"
    made = service.create("reeds", text, "Clarinets make do with one", folder="/reeds")
    service.wait_until_indexed()
    before = service.query(text, limit=1)
    chroma.lose(service.collection, before[0]["message_id"])
    assert service.query(text, limit=1) == [{**before[0], "score": ANY, "similarity": ANY}]
    found = service.query("double OR reeds, oboes", limit=1)[0]
    assert (found["content"], found["conversation_id"]) == (text, made["id"])
    assert service.query(text, {"folder": "/animals"}, limit=1)[0]["label"] == "animals", "filters hold for it too"
    assert service.query("hautbois", limit=50)
    assert text not in [hit["content"] for hit in service.query("hautbois", limit=50)], "the index has lost it indeed"
    service.client.delete(f"/api/v1/conversations/{made['id']}")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"query": None}, {"query": 5}, {"query": "x", "limit": 0}, {"query": "x", "limit": -1},
        {"query": "x", "limit": "ten"},
        {"query": "x", "offset": -1}, {"query": "x", "filters": []},
        {"query": "x", "filters": {"conversation_id": "1"}},
        {"query": "x", "filters": {"status": "odd"}}, {"query": "x", "filters": {"date_from": "soon"}},
    ],
)  # fmt: skip
def test_refuses(service: Service, body: dict[str, Any]) -> None:
    response = service.client.post("/api/v1/query", json=body)
    assert (response.status_code, response.json()["code"]) == (400, 400)


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("cats sleeping", ["animals"]),  # stemmed, ANDed
        ("cat pasta", []),
        ("cat OR pasta", ["animals", "cooking"]),
        ('"warm sofa"', ["animals"]),
        ('"sofa warm"', []),
        ("the NOT park database", ["databases"]),
        ("postgre*", ["databases"]),
        ("!!! ((", []),
        ('"', []),
        ("' OR 1=1 --", []),
        ("AND", []),
        ("", []),
    ],
)
def test_full_text(service: Service, ids: dict[str, str], query: str, labels: list[str]) -> None:
    response = service.client.post("/api/v1/search/fts", json={"query": query})
    body = response.json()
    assert response.status_code == 200
    assert sorted({row["label"] for row in body["results"]}) == labels
    assert (body["total"], body["query"]) == (len(body["results"]), query)
    for row in body["results"]:
        assert {"id", "content", "rank", "score", "label", "folder", "created_at", "message_id"} <= set(row)
        assert 0 < row["score"] <= 1


@pytest.mark.parametrize("content", [b"", b"{}", b'{"force": true}'])
def test_rebuild(service: Service, database: Database, ids: dict[str, str], content: bytes) -> None:
    service.wait_until_indexed()
    database.execute("UPDATE embeddings SET dim = 1")
    response = service.client.post("/api/v1/rebuild-embeddings", content=content)
    again = service.client.post("/api/v1/rebuild-embeddings")
    for each in (response, again):
        assert each.status_code == 202
        assert set(each.json()) == {"success", "status", "message", "estimated_completion_seconds"}
    assert service.query("a kitten having a nap")[0]["content"] == TEXTS["animals"][0], "search works meanwhile"

    def refreshed() -> bool:
        stale = database.execute("SELECT count(*) FROM embeddings WHERE dim = 1")
        return stale == database.execute("SELECT count(*) FROM vector_outbox") == [(0,)]

    wait_for(refreshed, 20, "all vectors are new")
