"""Debian's hcloud through the lives of some resources; `make proof-hetzner-clients` has all of them."""

from __future__ import annotations

import pytest

from proof.hetzner_clients.cli_walk import program, walk
from proof.hetzner_clients.world import serve

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(120)]


def test_some_lives() -> None:
    hcloud = program()
    with serve() as make:
        for kind in ("catalogue", "ssh keys", "firewalls"):
            walk(hcloud, kind, make())
