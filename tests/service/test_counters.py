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
