"""Contract 1.1 - 1.5: conversations, their answers and their errors. Lists and counts are in test_lists.py."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from tests.service.rig import Service

CONVERSATIONS = "/api/v1/conversations"
CONVERSATION_KEYS = {
    "id", "conversation_id", "label", "folder", "status", "importance_score", "message_count", "word_count",
    "session_count", "archived", "pinned", "metadata", "created_at", "updated_at",
}  # fmt: skip
MESSAGE_KEYS = {"id", "conversation_id", "role", "content", "timestamp", "embedding_id", "metadata"}
NAIVE_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_create_and_get(service: Service) -> None:
    created = service.create(
        "  Plans  ", "one two three", "four", folder="/work", importance_score=7.5, metadata={"a": 1}
    )
    assert set(created) == CONVERSATION_KEYS
    assert created["id"] == created["conversation_id"] == str(uuid.UUID(created["id"]))
    assert NAIVE_UTC.fullmatch(created["created_at"])
    expected = {
        "label": "Plans", "folder": "/work", "status": "active", "importance_score": 7.5, "message_count": 2,
        "word_count": 4, "session_count": 1, "archived": False, "pinned": False, "metadata": {"a": 1},
    }  # fmt: skip
    assert {key: created[key] for key in expected} == expected

    got = service.client.get(f"{CONVERSATIONS}/{created['id'].upper()}").json()
    assert set(got) == CONVERSATION_KEYS | {"messages"}
    assert [set(message) for message in got["messages"]] == [MESSAGE_KEYS, MESSAGE_KEYS]
    assert [message["content"] for message in got["messages"]] == ["one two three", "four"]


def test_defaults_nulls_and_unknown_keys(service: Service) -> None:
    body: dict[str, Any] = {
        "label": "x",
        "messages": [],
        "folder": None,
        "importance_score": None,
        "metadata": None,
        "what": "ever",
    }
    response = service.client.post(CONVERSATIONS, json=body)
    assert response.status_code == 201
    got = response.json()
    assert (got["folder"], got["importance_score"], got["metadata"], got["message_count"]) == ("/", 5, {}, 0)
    assert service.create("x", folder="", importanceScore=3)["folder"] == "/"
    assert service.create("x", importanceScore=3)["importance_score"] == 3


def test_messages_keep_order_and_given_timestamps(service: Service) -> None:
    messages = [
        {"role": "user", "content": "late", "timestamp": "2026-01-25T21:30:00.5+01:00"},
        {"role": "assistant", "content": "undated"},
        {"role": "user", "content": "early", "timestamp": "2020-01-01T00:00:00", "metadata": {"k": "v"}},
    ]
    made = service.client.post(CONVERSATIONS, json={"label": "order", "messages": messages}).json()
    got = service.client.get(f"{CONVERSATIONS}/{made['id']}").json()["messages"]
    assert [m["content"] for m in got] == ["late", "undated", "early"]
    assert got[0]["timestamp"] == "2026-01-25T20:30:00.500000"
    assert got[2]["timestamp"] == "2020-01-01T00:00:00.000000"
    assert (got[0]["metadata"], got[2]["metadata"]) == (None, {"k": "v"})


def test_content_parts(service: Service) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}
    parts = [{"type": "text", "text": "look"}, image, {"type": "text", "text": "here"}]
    messages = [{"role": "user", "content": parts}, {"role": "user", "content": [image]}]
    made = service.client.post(CONVERSATIONS, json={"label": "parts", "messages": messages}).json()
    got = service.client.get(f"{CONVERSATIONS}/{made['id']}").json()["messages"]
    assert [m["content"] for m in got] == ["look here", ""]
    assert got[0]["metadata"] == {"content_parts": parts}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "messages"),
        ({"label": "x"}, "messages"),
        ({"messages": []}, "label"),
        ({"label": "   ", "messages": []}, "label"),
        ({"label": "x" * 501, "messages": []}, "label"),
        ({"label": 5, "messages": []}, "label"),
        ({"label": "a\u0000b", "messages": []}, "label"),
        ({"label": "x", "messages": {}}, "messages"),
        ({"label": "x", "messages": ["hi"]}, "messages[0]"),
        ({"label": "x", "messages": [{"role": "user"}]}, "messages[0].content"),
        ({"label": "x", "messages": [{"content": "c"}]}, "messages[0].role"),
        ({"label": "x", "messages": [{"role": "", "content": "c"}]}, "messages[0].role"),
        ({"label": "x", "messages": [{"role": "r" * 33, "content": "c"}]}, "messages[0].role"),
        ({"label": "x", "messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0]"),
        ({"label": "x", "messages": [{"role": "user", "content": "c", "timestamp": "soon"}]}, "timestamp"),
        ({"label": "x", "messages": [{"role": "user", "content": "c", "metadata": {"\u0000": 1}}]}, "metadata"),
        ({"label": "x", "messages": [], "importance_score": 10.01}, "importance_score"),
        ({"label": "x", "messages": [], "importance_score": True}, "importance_score"),
        ({"label": "x", "messages": [], "metadata": []}, "metadata"),
        ({"label": "x", "messages": [], "folder": ["/"]}, "folder"),
    ],
)
def test_create_refuses(service: Service, body: dict[str, Any], named: str) -> None:
    response = service.client.post(CONVERSATIONS, json=body)
    assert response.status_code == 400
    assert set(response.json()) == {"error", "code"}
    assert response.json()["code"] == 400
    assert named in response.json()["error"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"label": NaN}', b"[" * 100_000])
def test_bad_json(service: Service, raw: bytes) -> None:
    response = service.client.post(CONVERSATIONS, content=raw)
    assert (response.status_code, response.json()["code"]) == (400, 400)


def test_content_type_does_not_matter(service: Service) -> None:
    raw = b'{"label": "plain", "messages": []}'
    assert service.client.post(CONVERSATIONS, content=raw, headers={"Content-Type": "text/plain"}).status_code == 201


@pytest.mark.parametrize(
    ("route", "body", "expected"),
    [
        ("label", {"label": "new"}, {"label": "new", "folder": "/a"}),
        ("label", {"label": "new", "folder": "/b"}, {"label": "new", "folder": "/b"}),
        ("folder", {"folder": "/c"}, {"label": "old", "folder": "/c"}),
        ("pin", None, {"importance_score": 10, "pinned": True, "status": "active"}),
        ("archive", None, {"status": "archived", "archived": True, "importance_score": 5}),
        ("status", {"status": "archived"}, {"status": "archived"}),
        ("status", {"status": "pinned"}, {"status": "active", "pinned": True}),
        ("importance", {"importance_score": 2.5}, {"importance_score": 2.5}),
    ],
)
def test_changes(service: Service, route: str, body: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    made = service.create("old", "text", folder="/a")
    for _ in range(2):  # all of them are idempotent
        response = service.client.put(f"{CONVERSATIONS}/{made['id']}/{route}", json=body) if body else None
        if response is None:
            response = service.client.put(f"{CONVERSATIONS}/{made['id']}/{route}")
        changed = response.json()
        assert response.status_code == 200
        assert changed["success"] is True
        assert {key: changed[key] for key in expected} == expected
        assert changed["updated_at"] > made["updated_at"]
    unknown = service.client.put(f"{CONVERSATIONS}/{UNKNOWN}/{route}", json=body)
    assert unknown.status_code == 404
    assert unknown.json() == {"error": "Conversation not found", "code": 404}
    assert service.client.put(f"{CONVERSATIONS}/nonsense/{route}", json=body).status_code == 400


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("label", {}), ("label", {"label": ""}), ("folder", {}), ("folder", {"folder": 1}),
        ("status", {"status": "gone"}), ("importance", {}), ("importance", {"importance_score": 11}),
    ],
)  # fmt: skip
def test_changes_refuse(service: Service, route: str, body: dict[str, Any]) -> None:
    made = service.create("x")
    assert service.client.put(f"{CONVERSATIONS}/{made['id']}/{route}", json=body).status_code == 400


def test_delete(service: Service) -> None:
    made = service.create("doomed", "text")
    address = f"{CONVERSATIONS}/{made['id']}"
    assert service.client.delete(address).json() == {"success": True, "id": made["id"]}
    assert service.client.delete(address).status_code == 404
    assert service.client.get(address).status_code == 404
