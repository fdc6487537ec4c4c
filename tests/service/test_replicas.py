"""Several replicas of Chroma: each is fed until it has everything, and queries go to one that has."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.service.rig import Chroma, Postgres, Service
from tests.support import wait_for

TEXT = "The glacier melts in summer"
QUESTION = "frozen water becoming liquid"  # shares no word with it
# Texts of these are far enough from each other: HNSW loses messages among hundreds that say almost the same.
WORDS = "anchor basket candle desert engine forest garden hammer island jacket kettle ladder needle".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Chroma]]:
    made = [Chroma(tmp_path_factory.mktemp(f"replica{i}")) for i in range(2)]
    yield made
    for each in made:
        each.stop()


@pytest.fixture(scope="module")
def replicated(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, replicas: list[Chroma]
) -> Iterator[Service]:
    urls = ", ".join(f'"http://127.0.0.1:{each.port}"' for each in replicas)
    settings = f"replicas = [{urls}]\n[rate_limiting]\nenabled = false\n"
    it = Service(tmp_path_factory.mktemp("replicated"), postgres.url, 1, settings)
    it.start()
    yield it
    it.stop()


def _by_meaning(service: Service) -> bool:
    hits = service.query(QUESTION, limit=1)
    return bool(hits) and hits[0]["content"] == TEXT


def _counts(service: Service, replicas: list[Chroma]) -> list[int]:
    return [each.count(service.collection) for each in replicas]


def test_what_one_misses_is_brought_to_it(replicated: Service, replicas: list[Chroma]) -> None:
    gone = replicated.create("first", "Bread is baked in an oven")
    replicated.wait_until_indexed()
    wait_for(lambda: _counts(replicated, replicas) == [1, 1], 20, "both have it")
    for number, away in enumerate(replicas):
        away.stop()
        kept = replicated.create("kept", TEXT) if number == 0 else replicated.create("kept", "A boat on a lake")
        if number == 0:
            replicated.client.delete(f"/api/v1/conversations/{gone['id']}").raise_for_status()
        replicated.wait_until_indexed()  # nothing waits for the one that is away
        wait_for(lambda: _by_meaning(replicated), 20, "the other answers by meaning")
        wait_for(lambda: replicated.metric("sekha_replicas_behind_items") > 0, 15, "the metric tells")
        assert replicated.status() == 200
        assert replicated.query(str(kept["label"]))
        away.start()
        both = [number + 1] * 2
        wait_for(lambda: _counts(replicated, replicas) == both, 40, "it has caught up, deletes too")  # noqa: B023


def test_an_emptied_replica_is_not_asked_until_it_has_everything(replicated: Service, replicas: list[Chroma]) -> None:
    chance = random.Random(1)
    replicated.create("kept", *[" ".join(chance.choices(WORDS, k=4)) for _ in range(150)])
    replicated.wait_until_indexed(90)
    wait_for(lambda: len(set(_counts(replicated, replicas))) == 1, 40, "both are full")
    wait_for(lambda: replicated.metric("sekha_replicas_behind_items") == 0, 40, "and the service knows it")
    full = _counts(replicated, replicas)[0]
    replicas[0].stop()
    replicas[0].wipe()
    replicas[0].start()

    def filled() -> bool:
        assert len(replicated.query("a book's page", limit=50)) == 50
        try:
            return _counts(replicated, replicas) == [full, full]
        except Exception:
            return False

    wait_for(filled, 60, "the emptied replica is full again, and no query was short meanwhile")
    replicas[1].stop()
    wait_for(lambda: _by_meaning(replicated), 20, "it answers alone")
    replicas[1].start()


def test_one_replica_that_never_was_there_stops_nothing(replicated: Service, replicas: list[Chroma]) -> None:
    replicas[1].stop()
    replicated.create("alone", "A violin is tuned before the concert")
    replicated.wait_until_indexed()

    def found() -> bool:
        hits = replicated.query("musical instrument")
        return bool(hits) and "violin" in hits[0]["content"]

    wait_for(found, 20, "found by meaning")
    replicas[1].start()
