"""When a new message is found: by words at once, by meaning soon."""

from __future__ import annotations

from tests.service.rig import Service
from tests.support import wait_for


def test_a_new_message_is_soon_found_by_meaning(service: Service) -> None:
    """Within 5 s on a machine that does nothing else; the tests share theirs."""
    text = "The orchestra tunes its violins before the concert"
    service.create("music", text)
    assert service.client.post("/api/v1/search/fts", json={"query": "orchestra"}).json()["total"] == 1, "at once"

    def found() -> bool:
        hits = service.query("musicians preparing instruments", limit=1)
        return bool(hits) and hits[0]["content"] == text

    wait_for(found, 20, "it is found by meaning; the question shares no word with it")
