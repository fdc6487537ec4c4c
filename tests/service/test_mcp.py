"""Contract 1.18 and 2: the MCP tools as endpoints, and the Python SDK's own MCP paths."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.service.database import age
from tests.service.rig import Service

UNKNOWN = "00000000-0000-4000-8000-000000000000"
NAMES = {
    "memory_store", "memory_search", "memory_update", "memory_get_context", "memory_prune", "memory_export",
    "memory_stats",
}  # fmt: skip


def _call(service: Service, tool: str, **body: Any) -> dict[str, Any]:
    response = service.client.post(f"/mcp/tools/{tool}", json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert set(answer) == {"success", "data", "error"}
    assert (answer["success"], answer["error"]) == (True, None)
    return dict(answer["data"])


def _store(service: Service, label: str, *texts: str, **more: Any) -> str:
    messages: list[Any] = [{"role": "user", "content": text, "timestamp": None, "metadata": {}} for text in texts]
    return str(_call(service, "memory_store", label=label, messages=messages, **more)["conversation_id"])


@pytest.fixture(scope="module")
def stored(service: Service) -> str:
    it = _store(
        service, "whales", "Whales sing under water", "The code word is XJ-9", folder="/sea", importance_score=7.5
    )
    _store(service, "deserts", "Camels cross the dry desert", folder="/land")
    service.wait_until_indexed()
    return it


def test_store(service: Service, stored: str) -> None:
    data = _call(service, "memory_store", label="x", messages=[{"role": "user", "content": "y"}], folder=None)
    expected = {"label": "x", "folder": "/", "message_count": 1, "status": "active", "importance_score": 5}
    assert {key: data[key] for key in expected} == expected
    assert data["id"] == data["conversation_id"]
    assert service.client.get(f"/api/v1/conversations/{stored}").json()["importance_score"] == 7.5, "floats are kept"


@pytest.mark.parametrize("tool", ["memory_search", "memory_query"])
def test_search(service: Service, stored: str, tool: str) -> None:
    data = _call(service, tool, query="songs of sea animals", limit=2, filter_labels=None)
    assert (data["query"], data["limit"], data["total_results"]) == ("songs of sea animals", 2, 2)
    first = data["results"][0]
    assert (first["label"], first["content"]) == ("whales", "Whales sing under water")
    assert isinstance(first["score"], float)
    assert first["similarity"] == first["score"]


def test_search_is_fused(service: Service, stored: str) -> None:
    """A code word means nothing to the model: found by its letters it comes first, with its true similarity."""
    near = ("The package is in transit to Berlin", "Your shipment has reached the depot", "The courier brings the box")
    far = "On Sunday we painted the fence, watched a film about whales, wrote ZQ4417 on a note and went swimming"
    _store(service, "parcels", *near, far)
    service.wait_until_indexed()
    question = "Where is parcel ZQ4417 now?"
    by_meaning = service.query(question, limit=100)
    assert "ZQ4417" not in by_meaning[0]["content"]
    rows = _call(service, "memory_search", query=question, limit=100)["results"]
    assert "ZQ4417" in rows[0]["content"]
    assert [row["relevance"] for row in rows] == sorted((row["relevance"] for row in rows), reverse=True)
    true = {row["message_id"]: row["score"] for row in by_meaning}
    assert {row["message_id"]: row["similarity"] for row in rows} == pytest.approx(true, abs=1e-3)


@pytest.mark.parametrize(
    ("body", "labels"),
    [
        ({"filter_labels": ["deserts"]}, {"deserts"}),
        ({"filters": {"folder": "/sea"}}, {"whales"}),
        ({"filter_labels": []}, set()),
        ({"limit": 0}, None), ({"limit": 1000}, None), ({"limit": None, "offset": None}, None),
    ],
)  # fmt: skip
def test_search_filters_and_limits(
    service: Service, stored: str, body: dict[str, Any], labels: set[str] | None
) -> None:
    data = _call(service, "memory_search", query="whales sing", **body)
    if labels is None:
        assert 1 <= len(data["results"]) <= data["limit"] <= 100
    else:
        assert {row["label"] for row in data["results"]} == labels


def test_search_pages(service: Service, stored: str) -> None:
    everything = [row["message_id"] for row in _call(service, "memory_search", query="desert water")["results"]]
    pages = [_call(service, "memory_search", query="desert water", limit=1, offset=i)["results"] for i in range(2)]
    assert [row["message_id"] for page in pages for row in page] == everything[:2]


@pytest.mark.parametrize(
    ("body", "fields", "expected"),
    [
        ({"label": "new"}, ["label"], {"label": "new", "folder": "/u"}),
        ({"folder": "/v", "label": None}, ["folder"], {"label": "u", "folder": "/v"}),
        ({"status": "archived"}, ["status"], {"status": "archived", "archived": True}),
        ({"status": "pinned"}, ["status"], {"status": "active", "pinned": True}),
        ({"importance_score": 7.5}, ["importance_score"], {"importance_score": 7.5, "label": "u"}),
        (
            {"label": "n", "folder": "/n", "status": "archived", "importance_score": 1.0},
            ["label", "folder", "status", "importance_score"],
            {"label": "n", "folder": "/n", "status": "archived", "importance_score": 1},
        ),
    ],
)
def test_update(service: Service, body: dict[str, Any], fields: list[str], expected: dict[str, Any]) -> None:
    it = _store(service, "u", "x", folder="/u")
    data = _call(service, "memory_update", conversation_id=it, **body)
    assert (data["conversation_id"], data["updated_fields"]) == (it, fields)
    assert data["message"]
    stored = service.client.get(f"/api/v1/conversations/{it}").json()
    assert {key: stored[key] for key in expected} == expected == {key: data[key] for key in expected}


def test_get_context(service: Service, stored: str) -> None:
    data = _call(service, "memory_get_context", conversation_id=stored.upper())
    assert data == service.client.get(f"/api/v1/conversations/{stored}").json()
    assert data["messages"][0]["content"] == "Whales sing under water"


def test_prune(service: Service) -> None:
    low, high = (_store(service, f"old {i}", "x", importance_score=i, folder="/old") for i in (2, 8))
    for it in (low, high):
        age(service, it, 50)
    data = _call(service, "memory_prune", threshold_days=45)
    suggestions = data.pop("suggestions")
    assert data == {
        "threshold_days": 45, "importance_threshold": 5, "total_suggestions": 1, "estimated_token_savings": 0,
    }  # fmt: skip
    assert [(row["conversation_id"], row["age_days"], row["folder"]) for row in suggestions] == [(low, 50, "/old")]
    assert suggestions[0]["reason"]
    assert _call(service, "memory_prune", threshold_days=45, importance_threshold=9)["total_suggestions"] == 2


@pytest.mark.parametrize("form", [None, "json", "markdown"])
def test_export(service: Service, stored: str, form: str | None) -> None:
    data = _call(service, "memory_export", conversation_id=stored, format=form)
    assert (data["format"], data["include_metadata"]) == (form or "json", True)
    whole = service.client.get(f"/api/v1/conversations/{stored}").json()
    keys = "id label folder status importance_score word_count session_count created_at updated_at"
    assert data["conversation"] == {key: whole[key] for key in keys.split()}
    assert data["messages"] == whole["messages"]
    bare = _call(service, "memory_export", conversation_id=stored, include_metadata=False)
    assert all("metadata" not in message for message in bare["messages"])
    if form == "markdown":
        assert "## whales" in data["content"]
        assert "Whales sing under water" in data["content"]
    else:
        assert json.loads(data["content"]) == whole


def test_stats(service: Service, stored: str) -> None:
    rest = service.client.get("/api/v1/stats").json()["data"]
    assert _call(service, "memory_stats") == rest
    assert {"/sea", "/land"} <= set(rest["folders"])
    assert rest["folders"] == sorted(rest["folders"])
    assert "estimated_token_savings" not in rest
    assert _call(service, "memory_stats", folder="/sea")["total_messages"] == 2
    both = service.client.post("/mcp/tools/memory_stats", json={"folder": "/sea", "label": "x"})
    assert (both.status_code, both.json()["success"], both.json()["data"]) == (200, False, None)


@pytest.mark.parametrize("path", ["/mcp/tools", "/api/v1/mcp/tools"])
def test_tool_list(service: Service, path: str) -> None:
    tools = service.client.get(path).json()
    assert {tool["name"] for tool in tools} == NAMES
    for tool in tools:
        assert set(tool) == {"name", "description", "inputSchema", "input_schema", "endpoint"}
        assert tool["inputSchema"] == tool["input_schema"]
        response = service.client.post(tool["endpoint"], json={"limit": 1})
        assert response.status_code in (200, 400), "each endpoint exists"


@pytest.mark.parametrize(
    ("tool", "body", "status"),
    [
        ("memory_store", {"label": "x", "messages": []}, 400), ("memory_store", {"messages": []}, 400),
        ("memory_store", {"label": "x" * 501, "messages": [{"role": "user", "content": "x"}]}, 400),
        ("memory_search", {"query": "  "}, 400), ("memory_search", {"query": None}, 400),
        ("memory_update", {"conversation_id": UNKNOWN}, 400),
        ("memory_update", {"conversation_id": UNKNOWN, "label": None}, 400),
        ("memory_update", {"conversation_id": UNKNOWN, "label": "x"}, 404),
        ("memory_update", {"conversation_id": UNKNOWN, "status": "odd"}, 400),
        ("memory_get_context", {"conversation_id": UNKNOWN}, 404), ("memory_get_context", {}, 400),
        ("memory_prune", {"threshold_days": -1}, 400), ("memory_export", {"conversation_id": UNKNOWN}, 404),
        ("memory_export", {"conversation_id": UNKNOWN, "format": "pdf"}, 400), ("memory_nothing", {}, 404),
    ],
)  # fmt: skip
def test_refuses_in_the_envelope(service: Service, tool: str, body: dict[str, Any], status: int) -> None:
    response = service.client.post(f"/mcp/tools/{tool}", json=body)
    assert response.status_code == status
    error = response.json().pop("error")
    assert error
    assert response.json() == {"success": False, "data": None, "error": error, "code": status}


def test_wrong_key_is_an_envelope_too(service: Service) -> None:
    response = httpx.post(f"{service.url}/mcp/tools/memory_stats", json={})
    assert (response.status_code, response.json()["success"]) == (401, False)


@pytest.mark.parametrize(
    "body",
    [
        {"query": "camels", "limit": 1},
        {"query": {"query": "camels", "limit": 1}},
        {"query": {"query": "camels", "labels": ["deserts"]}},
        {"query": "camels", "folders": ["/land"], "labels": ["deserts", "whales"]},
        {"query": "camels", "filters": {"labels": ["deserts"]}, "offset": 0},
    ],
)
def test_sdk_search(service: Service, stored: str, body: dict[str, Any]) -> None:
    answer = service.client.post("/mcp/memory/search", json=body).json()
    data = answer["data"]
    assert answer == {"success": True, "error": None, "data": data, **data}
    assert [row["label"] for row in answer["results"]] == ["deserts"]
    assert answer["query"] == "camels"


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"labels": ["whales", "deserts"]}, 2), ({"label": "whales"}, 1),
        ({"folders": ["/sea"], "label": "deserts"}, 0),
        ({"folder": "/land", "status": "active"}, 1), ({"labels": ["whales"], "status": "archived"}, 0),
        ({"labels": ["whales"], "start_date": "2020-01-01T00:00:00Z"}, 1),
        ({"labels": ["whales"], "end_date": "2020-01-01"}, 0),
    ],
)  # fmt: skip
def test_sdk_stats(service: Service, stored: str, filters: dict[str, Any], count: int) -> None:
    answer = service.client.post("/mcp/memory/stats", json={"filters": filters}).json()
    data = answer["data"]
    assert answer == {"success": True, "error": None, "data": data, **data}
    assert answer["total_conversations"] == count == sum(answer["label_distribution"].values())
    assert sum(answer["folder_distribution"].values()) == count
    assert (answer["date_range"]["start"] is None) == (answer["date_range"]["end"] is None) == (count == 0)
