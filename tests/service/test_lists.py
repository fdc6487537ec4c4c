"""Contract 1.3 and 1.6: lists and counts, with their filters."""

from __future__ import annotations

import pytest

from tests.service.rig import Service

CONVERSATIONS = "/api/v1/conversations"


@pytest.fixture(scope="module")
def library(service: Service) -> dict[str, str]:
    """Conversations in known folders: label -> id, in the order of their making."""
    rows = [
        ("Lib 100% sure", "/lib/work"),
        ("lib notes", "/lib/work/x"),
        ("Lib 1000 sure", "/lib/workshop"),
        ("LIB_odd", "/lib/w_rk"),
    ]
    made = {label: service.create(label, folder=folder)["id"] for label, folder in rows}
    service.client.put(f"{CONVERSATIONS}/{made['lib notes']}/pin")
    service.client.put(f"{CONVERSATIONS}/{made['LIB_odd']}/archive")
    return made


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ({"folder": "/lib"}, ["LIB_odd", "lib notes", "Lib 1000 sure", "Lib 100% sure"]),
        ({"folder": "/lib/work"}, ["lib notes", "Lib 100% sure"]),
        ({"folder": "/lib/work/"}, ["lib notes", "Lib 100% sure"]),
        ({"folder": "/lib/w_rk"}, ["LIB_odd"]),
        ({"folder": "/", "label": "lIB"}, ["LIB_odd", "lib notes", "Lib 1000 sure", "Lib 100% sure"]),
        ({"label": "100%"}, ["Lib 100% sure"]),
        ({"label": "lib_"}, ["LIB_odd"]),
        ({"folder": "/lib", "pinned": "TRUE"}, ["lib notes"]),
        ({"folder": "/lib", "pinned": "0"}, ["LIB_odd", "Lib 1000 sure", "Lib 100% sure"]),
        ({"folder": "/lib", "archived": "true"}, ["LIB_odd"]),
        ({"folder": "/lib", "archived": "false", "label": "notes"}, ["lib notes"]),
        ({"folder": "/lib", "page_size": "3", "page": "2"}, ["Lib 100% sure"]),
        ({"folder": "/lib", "limit": "2", "offset": "1"}, ["lib notes", "Lib 1000 sure"]),
        ({"folder": "/lib", "page": "-5", "page_size": "0"}, ["LIB_odd"]),
    ],
)
def test_list(service: Service, library: dict[str, str], query: dict[str, str], labels: list[str]) -> None:
    page = service.client.get(CONVERSATIONS, params=query).json()
    assert [row["label"] for row in page["results"]] == labels
    assert set(page) == {"results", "total", "page", "page_size"}
    if not {"page", "limit"} & set(query):
        assert page["total"] == len(labels)


def test_list_row(service: Service, library: dict[str, str]) -> None:
    row = service.client.get(CONVERSATIONS, params={"label": "lib notes"}).json()["results"][0]
    assert row["message_id"] == "00000000-0000-0000-0000-000000000000"
    assert (row["score"], row["content"], row["id"]) == (1.0, "lib notes", library["lib notes"])
    assert row["metadata"] == {"folder": "/lib/work/x", "status": "active", "importance_score": 10, "message_count": 0}


@pytest.mark.parametrize("query", [{"page": "x"}, {"page_size": "1.5"}, {"pinned": "maybe"}, {"label": "\u0000"}])
def test_list_refuses(service: Service, query: dict[str, str]) -> None:
    assert service.client.get(CONVERSATIONS, params=query).status_code == 400


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"folder": "/lib/work"}, 1),
        ({"folder": "/lib/work", "recursive": "true"}, 2),
        ({"folder": "/lib"}, 0),
        ({"label": "lib"}, 4),
    ],
)
def test_count(service: Service, library: dict[str, str], query: dict[str, str], count: int) -> None:
    got = service.client.get(f"{CONVERSATIONS}/count", params=query).json()
    assert got == {"count": count, "label": query.get("label"), "folder": query.get("folder")}


def test_count_all_and_both(service: Service, library: dict[str, str]) -> None:
    every = service.client.get(f"{CONVERSATIONS}/count").json()
    assert every["count"] == service.client.get(CONVERSATIONS).json()["total"]
    both = service.client.get(f"{CONVERSATIONS}/count", params={"label": "a", "folder": "/b"})
    assert both.status_code == 200
    error = "Cannot specify both label and folder"
    assert both.json() == {"count": 0, "error": error, "label": "a", "folder": "/b"}
