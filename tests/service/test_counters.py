"""Lists and counts without a filter come from stored figures: they are what counting gives."""

from __future__ import annotations

from tests.service.databases import Database
from tests.service.rig import Service

COUNT = "/api/v1/conversations/count"


def test_stored_figures_follow_every_change(service: Service, database: Database) -> None:
    made = [service.create(f"counted {i}", *["text"] * i) for i in range(5)]
    service.client.put(f"/api/v1/conversations/{made[1]['id']}/archive").raise_for_status()
    service.client.put(f"/api/v1/conversations/{made[2]['id']}/label", json={"label": "other"}).raise_for_status()
    service.client.delete(f"/api/v1/conversations/{made[4]['id']}").raise_for_status()
    pruned = {"conversation_ids": [made[2]["id"], made[3]["id"]]}
    service.client.post("/api/v1/prune/execute", json=pruned).raise_for_status()
    stored = database.execute(
        "SELECT status, sum(conversations), sum(messages) FROM counters GROUP BY status ORDER BY status"
    )
    assert [(status, int(a), int(b)) for status, a, b in stored] == [("active", 1, 0), ("archived", 3, 6)]
    assert service.client.get(COUNT).json()["count"] == 4
    page = service.client.get("/api/v1/conversations", params={"page_size": 3}).json()
    assert (page["total"], len(page["results"])) == (4, 3)
    beyond = service.client.get("/api/v1/conversations", params={"page": 9}).json()
    assert (beyond["total"], beyond["results"]) == (4, [])


def test_tokens_are_stored_and_counted_where_the_release_before_left_them_out(
    service: Service, database: Database
) -> None:
    made = service.create("tokens", "12345678", "äöü€", "123", folder="/tokens")
    assert database.execute("SELECT token_count FROM conversations WHERE folder = '/tokens'") == [(3,)]
    database.execute("UPDATE conversations SET token_count = NULL WHERE folder = '/tokens'")
    service.create("tokens", "1234", folder="/tokens")
    stats = service.client.get("/api/v1/stats", params={"folder": "/tokens"}).json()["data"]
    assert (stats["total_tokens"], stats["total_messages"]) == (4, 4)
    service.client.delete(f"/api/v1/conversations/{made['id']}").raise_for_status()


def test_counts_by_archived_come_from_stored_figures(service: Service) -> None:
    for archived in (True, False):
        page = service.client.get("/api/v1/conversations", params={"archived": archived, "page_size": 1000}).json()
        assert page["total"] == len(page["results"])
        assert {row["status"] == "archived" for row in page["results"]} == {archived}


def test_parts_of_labels_are_found_by_an_index(service: Service, database: Database) -> None:
    service.create("Budget 100%_done ÄÖ")
    for part, found in (("00%_D", 1), ("00%xD", 0), ("äö", 1), ("\\", 0), ("get 1", 1)):
        assert service.client.get(COUNT, params={"label": part}).json()["count"] == found, part
    if not database.is_sqlite:
        index = "SELECT count(*) FROM pg_indexes WHERE indexname = 'conversations_label_parts'"
        assert database.execute(index) == [(1,)]
