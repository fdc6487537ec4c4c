"""Contract 1.12, 1.13, 1.15: pruning and export."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.service.database import age
from tests.service.rig import Service

UNKNOWN = "00000000-0000-4000-8000-000000000000"
SUGGESTION_KEYS = {
    "conversation_id", "conversation_label", "label", "folder", "last_accessed", "days_since_access", "age_days",
    "message_count", "token_estimate", "importance_score", "preview", "recommendation", "reason",
}  # fmt: skip


@pytest.fixture(scope="module")
def old(service: Service) -> dict[str, str]:
    """Conversations by label: unchanged for 100 to 60 days, of several kinds; `fresh` is new."""
    kinds: list[tuple[str, float, int, float]] = [
        ("big", 3, 26, 100), ("small", 4.5, 1, 90), ("edge", 4.9, 25, 80), ("kept", 5, 40, 70), ("pinned", 10, 40, 65),
        ("archived", 1, 40, 60), ("fresh", 1, 40, 0),
    ]  # fmt: skip
    ids = {}
    for label, importance, messages, days in kinds:
        texts = [f"{label} {i} " + "x" * 200 for i in range(messages)]
        ids[label] = service.create(label, *texts, importance_score=importance, folder=f"/{label}")["id"]
        if label == "archived":
            service.client.put(f"/api/v1/conversations/{ids[label]}/archive")
        if days:
            age(service, ids[label], days)
    return ids


def _dry_run(service: Service, **body: Any) -> dict[str, Any]:
    response = service.client.post("/api/v1/prune/dry-run", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_dry_run(service: Service, old: dict[str, str]) -> None:
    body = _dry_run(service)
    rows = body.pop("suggestions")
    assert [(row["label"], row["recommendation"]) for row in rows] == [
        ("big", "archive"), ("small", "review"), ("edge", "review"), ("kept", "keep"),
    ]  # fmt: skip
    assert body == {
        "total": 4, "total_reviewed": 4, "recommended_archive": 1, "recommended_keep": 1,
        "estimated_token_savings": 5200,
    }  # fmt: skip
    first = rows[0]
    assert set(first) == SUGGESTION_KEYS
    assert (first["conversation_id"], first["folder"], first["token_estimate"]) == (old["big"], "/big", 5200)
    assert first["age_days"] == first["days_since_access"] == 100
    assert first["preview"] == ("big 25 " + "x" * 200)[:100], "the beginning of the newest message"
    assert "100 days" in first["reason"]


@pytest.mark.parametrize(
    ("body", "labels"),
    [
        ({"threshold_days": 85}, ["big", "small"]),
        ({"threshold_days": 85, "importance_threshold": 4}, ["big"]),
        ({"importance_threshold": 5.0, "threshold_days": None}, ["big", "small", "edge", "kept"]),
        ({"threshold_days": 2**40}, []),
        ({"threshold_days": 0}, ["big", "small", "edge", "kept", "fresh"]),
    ],
)
def test_thresholds(service: Service, old: dict[str, str], body: dict[str, Any], labels: list[str]) -> None:
    assert [row["label"] for row in _dry_run(service, **body)["suggestions"]] == labels


@pytest.mark.parametrize("body", [{"threshold_days": -1}, {"threshold_days": "x"}, {"importance_threshold": "low"}])
def test_dry_run_refuses(service: Service, body: dict[str, Any]) -> None:
    response = service.client.post("/api/v1/prune/dry-run", json=body)
    assert (response.status_code, response.json()["code"]) == (400, 400)


@pytest.mark.parametrize(
    "body", [{}, {"conversation_ids": None}, {"conversation_ids": "x"}, {"conversation_ids": ["GOOD", "not-a-uuid"]}]
)
def test_execute_refuses_and_changes_nothing(service: Service, body: dict[str, Any]) -> None:
    it = service.create("untouched")["id"]
    text = json.dumps(body).replace("GOOD", it)
    response = service.client.post("/api/v1/prune/execute", content=text)
    assert (response.status_code, response.json()["code"]) == (400, 400)
    assert service.client.get(f"/api/v1/conversations/{it}").json()["status"] == "active"


def test_execute(service: Service) -> None:
    ids = [service.create("prune me")["id"] for _ in range(3)]
    given = [ids[1].upper(), UNKNOWN, ids[0], ids[0]]
    response = service.client.post("/api/v1/prune/execute", json={"conversation_ids": given})
    assert response.status_code == 200
    assert response.json() == {
        "success": True, "archived": 2, "archived_ids": [ids[1], ids[0]], "not_found": [UNKNOWN],
    }  # fmt: skip
    statuses = [service.client.get(f"/api/v1/conversations/{i}").json()["status"] for i in ids]
    assert statuses == ["archived", "archived", "active"]


@pytest.fixture(scope="module")
def exported(service: Service) -> list[str]:
    first = service.create('Ex "one"\nline', 'Say "hi" \\ é 🚀\n# not a heading', "two", folder="/ex/a")["id"]
    second = service.create("Ex two", folder="/ex/b", importance_score=7.5)["id"]
    service.client.put(f"/api/v1/conversations/{second}/archive")
    return [first, second]


def test_export_markdown(service: Service, exported: list[str]) -> None:
    body = service.client.get("/api/v1/export", params={"folder": "/ex"}).json()
    assert (body["format"], body["conversation_count"]) == ("markdown", 2)
    lines = body["content"].split("\n")
    assert lines[0] == "# Sekha export"
    assert [line for line in lines if line.startswith("## ")] == ['## Ex "one" line', "## Ex two"], "oldest first"
    assert 'Say "hi" \\ é 🚀' in lines
    facts = {f"- ID: {exported[0]}", "- Folder: /ex/a", "- Status: archived", "- Importance: 7.5", "### user"}
    assert facts <= set(lines)


@pytest.mark.parametrize("post", [False, True])
def test_export_json(service: Service, exported: list[str], post: bool) -> None:
    values = {"folder": "/ex", "format": "json"}
    response = (
        service.client.post("/api/v1/export", json=values)
        if post
        else service.client.get("/api/v1/export", params=values)
    )
    body = response.json()
    assert (body["format"], body["conversation_count"]) == ("json", 2)
    rows = json.loads(body["content"])
    assert rows == [service.client.get(f"/api/v1/conversations/{i}").json() for i in exported]
    assert body["content"].startswith("[{\n  "), "pretty-printed"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"label": "ex TWO"}, [1]), ({"folder": "/ex", "archived": "false"}, [0]), ({"folder": "/e"}, []),
        ({"folder": "/ex", "archived": "1"}, [1]),
    ],
)  # fmt: skip
def test_export_filters(service: Service, exported: list[str], query: dict[str, str], found: list[int]) -> None:
    body = service.client.get("/api/v1/export", params={**query, "format": "json"}).json()
    assert [row["id"] for row in json.loads(body["content"])] == [exported[i] for i in found]
    assert body["conversation_count"] == len(found)


def test_export_is_complete_over_many_batches(service: Service) -> None:
    ids = [service.create("batch", f"number {i}", folder="/batch")["id"] for i in range(45)]
    body = service.client.get("/api/v1/export", params={"folder": "/batch", "format": "json"}).json()
    assert [row["id"] for row in json.loads(body["content"])] == ids
    assert body["conversation_count"] == 45


@pytest.mark.parametrize("query", [{"format": "pdf"}, {"archived": "maybe"}])
def test_export_refuses(service: Service, query: dict[str, str]) -> None:
    for response in (
        service.client.get("/api/v1/export", params=query), service.client.post("/api/v1/export", json=query),
    ):  # fmt: skip
        assert (response.status_code, response.json()["code"]) == (400, 400)
