"""Contract 1.10: assembling a context; and the fused recall behind it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sekha_service.context import value
from sekha_service.fusion import fuse
from sekha_service.model import Hit, Message, MessageFilter
from sekha_service.recall import lets_through

from tests.service.database import days_ago
from tests.service.rig import Service

PATH = "/api/v1/context/assemble"
SDK = {"User-Agent": "Sekha-Python-SDK/0.6.0"}


def _make(service: Service, label: str, text: str, days: float = 0, **more: Any) -> str:
    at = days_ago(days).isoformat()
    body = {"label": label, "messages": [{"role": "user", "content": text, "timestamp": at}], **more}
    response = service.client.post("/api/v1/conversations", json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


@pytest.fixture(scope="module")
def made(service: Service) -> dict[str, str]:
    ids = {
        "today": _make(service, "bees", "Bees make honey from nectar"),
        "month": _make(service, "bees", "A beehive has one queen", days=30),
        "wanted": _make(service, "garden", "Bees visit the garden", folder="/home/garden"),
        "low": _make(service, "low", "Honey is sweet", importance_score=1),
        "high": _make(service, "high", "Wax is made by bees too", importance_score=9.5, days=3),
        "pinned": _make(service, "rules", "Always answer in French", importance_score=10, days=90, folder="/rules"),
        "offtopic": _make(service, "garden", "The lawn mower is broken", days=6),
        "gone": _make(service, "bees", "Archived bees sleep", importance_score=10, folder="/old"),
        "private": _make(service, "garden", "Secret bees", importance_score=10, folder="/private/x"),
        "privately": _make(service, "near", "Bees in a shop", importance_score=3, folder="/privately"),
    }
    service.client.put(f"/api/v1/conversations/{ids['gone']}/archive")
    service.wait_until_indexed()
    return ids


def _assemble(service: Service, **body: Any) -> list[dict[str, Any]]:
    response = service.client.post(PATH, json={"query": "bees and honey", "excluded_folders": ["/private"], **body})
    assert response.status_code == 200, response.text
    return list(response.json())


def _names(made: dict[str, str], rows: list[dict[str, Any]]) -> list[str]:
    names = {address: name for name, address in made.items()}
    return [names[row["conversation_id"]] for row in rows]


def test_ranked_by_importance_recency_and_label(service: Service, made: dict[str, str]) -> None:
    rows = _assemble(service)
    names = _names(made, rows)
    assert names[:2] == ["pinned", "high"], "5.03, 4.97 with 0.3 * 2^(-3/7)"
    today = sorted(rows[2:4], key=lambda row: -row["metadata"]["relevance_score"])
    assert rows[2:4] == today, "on a tie the more similar first"
    assert set(names[2:4]) == {"today", "wanted"}
    assert names[4:] == ["offtopic", "month", "privately", "low"]
    assert len({row["id"] for row in rows}) == len(rows)


def test_preferred_label(service: Service, made: dict[str, str]) -> None:
    names = _names(made, _assemble(service, preferred_labels=["garden"]))
    assert names[:3] == ["pinned", "high", "wanted"], "a preferred label adds 1.0"
    assert names.index("offtopic") == 3, "recalled for its label alone, not for the query"


def test_archived_and_excluded_are_left_out_of_every_source(service: Service, made: dict[str, str]) -> None:
    names = _names(made, _assemble(service, preferred_labels=["garden", "bees"]))
    assert not {"gone", "private"} & set(names)
    assert "privately" in names, "folders are cut at a / boundary"
    assert "private" in _names(made, _assemble(service, excluded_folders=None))
    assert _assemble(service, excluded_folders=["/"]) == []


@pytest.mark.parametrize(
    ("budget", "names"),
    [
        # 85 % of it: 5 tokens each for pinned (23 characters) and high; 4 are too few for any of the first.
        (0, []), (1, []), (6, ["pinned"]), (12, ["pinned", "high"]),
    ],
)  # fmt: skip
def test_budget(service: Service, made: dict[str, str], budget: int, names: list[str]) -> None:
    assert _names(made, _assemble(service, context_budget=budget)) == names


def test_what_does_not_fit_is_skipped(service: Service) -> None:
    _make(service, "skip", "word " * 200, importance_score=10, folder="/skip")
    _make(service, "skip", "short one", importance_score=10, folder="/skip", days=1)
    rows = _assemble(service, context_budget=30)
    assert "short one" in [row["content"] for row in rows]
    assert sum(len(row["content"]) // 4 for row in rows) <= 25


def test_citation(service: Service, made: dict[str, str]) -> None:
    row = next(row for row in _assemble(service) if row["conversation_id"] == made["wanted"])
    at = row["timestamp"]
    score = row["metadata"].pop("relevance_score")
    assert row["metadata"] == {
        "citation": {"label": "garden", "folder": "/home/garden", "timestamp": at},
        "label": "garden", "folder": "/home/garden",
    }  # fmt: skip
    assert 0.3 < score <= 1
    stored = service.client.get(f"/api/v1/conversations/{made['wanted']}").json()["messages"][0]
    assert stored["metadata"] is None, "only the copy is cited"


@pytest.mark.parametrize(
    ("agent", "query", "shape"),
    [
        ("python-httpx/0.28", "", list), ("Sekha-Python-SDK/0.6.0", "", dict), ("Sekha-JS-SDK/0.2", "", dict),
        ("Sekha-Python-SDK/0.6.0", "?shape=array", list), ("curl", "?shape=object", dict),
    ],
)  # fmt: skip
def test_shape(service: Service, made: dict[str, str], agent: str, query: str, shape: type) -> None:
    body = {"query": "bees", "preferred_labels": [], "context_budget": 4000, "excluded_folders": []}
    response = service.client.post(PATH + query, json=body, headers={"User-Agent": agent})
    assert isinstance(response.json(), shape)


def test_object(service: Service, made: dict[str, str]) -> None:
    body = service.client.post(PATH, json={"query": "bees and honey"}, headers=SDK).json()
    rows = body.pop("messages")
    tokens = sum(len(row["content"]) // 4 for row in rows)
    conversations = list(dict.fromkeys(row["conversation_id"] for row in rows))
    labels = list(dict.fromkeys(row["metadata"]["label"] for row in rows))
    assert body == {
        "token_count": tokens, "estimated_tokens": tokens, "conversation_ids": conversations,
        "conversations_used": len(conversations), "labels": labels, "query": "bees and honey", "context_budget": 4000,
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [{}, {"query": 1}, {"query": "x", "context_budget": -1}, {"query": "x", "context_budget": "big"},
     {"query": "x", "preferred_labels": 5}, {"query": "x", "excluded_folders": [1]}],
)  # fmt: skip
def test_refuses(service: Service, body: dict[str, Any]) -> None:
    for path in (PATH, PATH + "?shape=object"):
        response = service.client.post(path, json=body)
        assert (response.status_code, response.json()["code"]) == (400, 400)
    assert service.client.post(PATH + "?shape=cube", json={"query": "x"}).status_code == 400


def test_proxy_budget_and_client_default(service: Service, made: dict[str, str]) -> None:
    """The proxy sends a budget of 2000 with httpx's own User-Agent and expects an array."""
    headers = {"Authorization": service.client.headers["Authorization"]}
    response = httpx.post(
        f"{service.url}{PATH}", json={"query": "bees", "preferred_labels": [], "context_budget": 2000}, headers=headers
    )
    assert isinstance(response.json(), list)


@pytest.mark.parametrize(
    ("importance", "days", "label", "expected"),
    [
        (5, 0, "x", 2.5 + 0.3), (10, 7, "x", 5 + 0.15), (0, 6.9, "x", 0.3 * 2 ** (-6 / 7)), (5, 400, "x", 2.5 + 0.03),
        (5, 0, "wanted", 2.5 + 0.3 + 1), (5, -3, "x", 2.5 + 0.3),
    ],
)  # fmt: skip
def test_value(importance: float, days: float, label: str, expected: float) -> None:
    nobody, now = UUID(int=0), datetime.now(UTC)
    message = Message(nobody, nobody, "user", "x", now - timedelta(days=days), None, None)
    hit = Hit(message, label, "/", "active", importance, 0.0)
    assert value(hit, frozenset(("wanted",)), now) == pytest.approx(expected)


def test_fusion() -> None:
    fused = fuse([["a", "b", "c"], ["b", "d"]])
    assert [item for item, _ in fused] == ["b", "a", "d", "c"]
    assert dict(fused)["b"] == pytest.approx((1 / 62 + 1 / 61) / (2 / 61))
    assert fuse([["x"], ["x"]]) == [("x", 1.0)]
    assert fuse([["a"], ["b"]], [1.0, 2.0])[0][0] == "b"
    assert fuse([[], []]) == []


@pytest.mark.parametrize(
    ("folder", "excluded", "kept"),
    [
        ("/a", (), True), ("/a", ("/a",), False), ("/a/b", ("/a/",), False), ("/ab", ("/a",), True),
        ("/a/", ("/a",), False), ("/a", ("/b", "/a"), False), ("work", ("/",), False), ("/A", ("/a",), True),
    ],
)  # fmt: skip
def test_exclusion_after_the_search(folder: str, excluded: tuple[str, ...], kept: bool) -> None:
    nobody = UUID(int=0)
    message = Message(nobody, nobody, "user", "x", datetime.now(UTC), None, None)
    for status in ("active", "archived"):
        hit = Hit(message, "label", folder, status, 5.0, 0.5)
        assert lets_through(MessageFilter(excluded_folders=excluded), hit) == kept
        where = MessageFilter(archived=False, excluded_folders=excluded)
        assert lets_through(where, hit) == (kept and status == "active")


def test_context_when_most_of_the_nearest_are_excluded(service: Service) -> None:
    """More than a page of archived matches must not hide the others."""
    crowd = [f"Volcano report {i}" for i in range(320)]
    crowded = service.create("crowd", *crowd, folder="/crowd")["id"]
    service.client.put(f"/api/v1/conversations/{crowded}/archive")
    lone = service.create("lone", "A volcano, far less a report", folder="/lone")["id"]
    service.wait_until_indexed()
    rows = _assemble(service, query="Volcano report", excluded_folders=[])
    assert lone in [row["conversation_id"] for row in rows]
    assert crowded not in [row["conversation_id"] for row in rows]
