"""Contract 1.11, 1.14, 1.16, 1.17 without a language model: summaries, labels, scores, figures."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.database import days_ago, execute
from tests.service.rig import Service

UNKNOWN = "00000000-0000-4000-8000-000000000000"
DAY = (
    "The database migration to PostgreSQL failed because the disk was full. We cleaned the disk.",
    "Then the database migration to PostgreSQL worked. Lunch was nice.",
)


def _post(service: Service, path: str, body: object) -> dict[str, Any]:
    response = service.client.post(f"/api/v1/{path}", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def _summaries(service: Service, conversation: str) -> list[tuple[Any, ...]]:
    return execute(
        service,
        "SELECT level, summary_text, model_used, token_count FROM hierarchical_summaries "
        "WHERE conversation_id = ? ORDER BY generated_at",
        conversation,
    )


def test_daily_summary_is_extractive_and_stored(service: Service) -> None:
    it = service.create("summary", *DAY)["id"]
    body = _post(service, "summarize", {"conversation_id": it})
    summary = body["summary"]
    assert "database migration to PostgreSQL failed" in summary
    assert set(summary.split()) <= set(" ".join(DAY).split()), "only what was said"
    assert body == {
        "conversation_id": it, "level": "daily", "summary": summary, "generated_at": body["created_at"],
        "created_at": body["created_at"], "token_count": len(summary) // 4, "message_count": 2, "model": "builtin",
    }  # fmt: skip
    assert _summaries(service, it) == [("daily", summary, "builtin", len(summary) // 4)]
    assert _post(service, "summarize", {"conversation_id": it, "level": None})["summary"] == summary, "deterministic"


def test_summary_is_short(service: Service) -> None:
    texts = [f"Sentence number {i} about the weather in town {i % 7}." for i in range(300)]
    it = service.create("long", *texts)["id"]
    words = len(_post(service, "summarize", {"conversation_id": it})["summary"].split())
    assert 100 < words <= 200


def test_levels_read_the_summaries_below(service: Service) -> None:
    it = service.create("levels", "Today we only talked about bicycles.")["id"]
    add = (
        "INSERT INTO hierarchical_summaries "
        "(id, conversation_id, level, summary_text, generated_at, model_used, token_count) VALUES (?,?,?,?,?,?,?)"
    )
    rows = [
        ("daily", "Replaced by the later one of that day.", 2.001), ("daily", "Kangaroos jump over fences.", 2),
        ("daily", "Too old for the week.", 8), ("weekly", "Penguins swim in cold water.", 20),
        ("weekly", "Too old for the month.", 31),
    ]  # fmt: skip
    for i, (level, text, days) in enumerate(rows):
        address = UNKNOWN[:-2] + f"{i + 10}"
        # On one day, whatever the time is now: days are counted back from noon.
        then = days_ago(days) if days % 1 == 0 and level == "weekly" else days_ago(days).replace(hour=12, minute=i)
        execute(service, add, address, it, level, text, then, "builtin", 7)
    weekly = _post(service, "summarize", {"conversation_id": it, "level": "weekly"})
    assert (weekly["summary"], weekly["message_count"]) == ("Kangaroos jump over fences.", 1)
    monthly = _post(service, "summarize", {"conversation_id": it, "level": "monthly"})
    assert monthly["summary"] == "Penguins swim in cold water. Kangaroos jump over fences."
    assert [row[0] for row in _summaries(service, it)][-2:] == ["weekly", "monthly"]


@pytest.mark.parametrize("level", ["weekly", "monthly"])
def test_levels_fall_back_to_the_day(service: Service, level: str) -> None:
    it = service.create("fallback", "Only today counts.")["id"]
    body = _post(service, "summarize", {"conversation_id": it, "level": level})
    assert (body["summary"], body["level"]) == ("Only today counts.", level)


def test_nothing_to_summarize(service: Service) -> None:
    old = [{"role": "user", "content": "long ago", "timestamp": "2020-01-01T00:00:00"}]
    for messages in ([], old, [{"role": "user", "content": "  "}]):
        it = service.client.post("/api/v1/conversations", json={"label": "x", "messages": messages}).json()["id"]
        body = _post(service, "summarize", {"conversation_id": it})
        assert (body["summary"], body["message_count"]) == ("No messages to summarize", 0)
        assert _summaries(service, it) == []


def test_summaries_go_with_their_conversation(service: Service) -> None:
    it = service.create("gone", *DAY)["id"]
    _post(service, "summarize", {"conversation_id": it})
    service.client.delete(f"/api/v1/conversations/{it}")
    assert _summaries(service, it) == []


def test_labels_prefer_those_in_use_and_keep_the_folder(service: Service) -> None:
    service.create("Kubernetes")
    it = service.create("untitled", "Our kubernetes cluster on kubernetes nodes: terraform, terraform.", folder="/ops")
    body = _post(service, "labels/suggest", {"conversation_id": it["id"]})
    rows = body["suggestions"]
    assert (body["conversation_id"], body["top_suggestion"]) == (it["id"], "Kubernetes")
    assert rows[0] == {
        "label": "Kubernetes", "folder": "/ops", "confidence": 0.9, "is_existing": True,
        "reason": rows[0]["reason"], "reasoning": rows[0]["reason"],
    }  # fmt: skip
    assert ("Terraform", 0.6, False) in [(row["label"], row["confidence"], row["is_existing"]) for row in rows]
    assert len(rows) <= 5
    assert len({row["label"].lower() for row in rows}) == len(rows)
    assert {row["folder"] for row in rows} == {"/ops"}


@pytest.mark.parametrize(("texts", "count"), [([], 0), (["  "], 0), (["the of and"], 1), (["!!!"], 1), (["日本語"], 1)])
def test_labels_whenever_there_is_text(service: Service, texts: list[str], count: int) -> None:
    it = service.create("Zyzzyva", *texts)["id"]
    body = _post(service, "labels/suggest", {"conversation_id": it})
    assert len(body["suggestions"]) == count
    assert (body["top_suggestion"] is None) == (count == 0)


@pytest.mark.parametrize(
    ("content", "score", "raised"),
    [
        ("hello", 5, {}),
        ("x" * 101, 6, {"length": 1}),
        ("Is it?", 5.5, {"question": 0.5}),
        ("```\ncode\n```", 7, {"code": 2}),
        ("An URGENT, critical decision: important", 9, {"keywords": 4}),
        ("```\n" + "urgent critical decision important " * 9 + "\n```?", 10, {"length": 1, "code": 2, "question": 0.5}),
    ],
)
def test_score(service: Service, content: str, score: float, raised: dict[str, float]) -> None:
    it = service.create("score", content)["id"]
    message = service.client.get(f"/api/v1/conversations/{it}").json()["messages"][0]["id"]
    body = _post(service, "messages/score", {"message_id": message})
    assert (body["message_id"], body["importance_score"], body["score"]) == (message, score, score)
    assert set(body["factors"]) == {"base", "length", "code", "question", "keywords"}
    assert {name: body["factors"][name] for name in raised} == raised
    assert body["reasoning"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("summarize", {"conversation_id": UNKNOWN}, 404), ("summarize", {"conversation_id": "x"}, 400),
        ("summarize", {}, 400), ("summarize", {"conversation_id": UNKNOWN, "level": "yearly"}, 400),
        ("labels/suggest", {"conversation_id": UNKNOWN}, 404), ("labels/suggest", {}, 400),
        ("messages/score", {"message_id": UNKNOWN}, 404), ("messages/score", {"message_id": 5}, 400),
    ],
)  # fmt: skip
def test_refuses(service: Service, path: str, body: dict[str, Any], status: int) -> None:
    response = service.client.post(f"/api/v1/{path}", json=body)
    assert (response.status_code, response.json()["code"]) == (status, status)
    if "level" in body:
        assert all(level in response.json()["error"] for level in ("daily", "weekly", "monthly"))


@pytest.fixture(scope="module")
def counted(service: Service) -> None:
    service.create("fig one", "12345678", "123456789", folder="/figures", importance_score=2)
    service.create("fig two", "123", folder="/figures", importance_score=9)
    service.create("fig two", folder="/figures/below")


@pytest.mark.parametrize("query", [{"folder": "/figures"}, {"label": "fig one"}])
def test_stats(service: Service, counted: None, query: dict[str, str]) -> None:
    body = service.client.get("/api/v1/stats", params=query).json()
    assert (body["success"], body["error"]) == (True, None)
    data = body["data"]
    both = "folder" in query
    assert data == {
        "total_conversations": 2 if both else 1, "total_messages": 3 if both else 2, "total_tokens": 4,
        "average_importance": 5.5 if both else 2, "folders": ["/figures"],
        "labels": ["fig one", "fig two"] if both else ["fig one"], "by_status": {"active": 2 if both else 1},
    }  # fmt: skip


def test_stats_of_nothing_and_of_both(service: Service) -> None:
    data = service.client.get("/api/v1/stats", params={"folder": "/nowhere"}).json()["data"]
    assert (data["total_conversations"], data["average_importance"], data["total_tokens"]) == (0, 0.0, 0)
    response = service.client.get("/api/v1/stats", params={"folder": "/a", "label": "b"})
    assert response.status_code == 200
    assert response.json() == {"success": False, "data": None, "error": "Cannot specify both folder and label"}
