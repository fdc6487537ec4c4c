"""The real hcloud-python through the whole life of every resource: the walks of `make proof-hetzner-clients`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from proof.hetzner_clients.python_walk import WALKS
from proof.hetzner_clients.world import World, serve


@pytest.fixture(scope="module")
def world() -> Iterator[Callable[[], World]]:
    with serve() as make:
        yield make


@pytest.mark.parametrize("kind", WALKS)
def test_the_life_of(kind: str, world: Callable[[], World]) -> None:
    WALKS[kind](world())
