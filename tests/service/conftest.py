"""One rig for each test module: PostgreSQL, Chroma, service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.rig import REPO, Chroma, Postgres, Service

sys.path.insert(0, str(REPO / "app" / "src"))  # for the tests that look into the service's own modules


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chroma]:
    server = Chroma(tmp_path_factory.mktemp("chroma"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(folder: Path, postgres: Postgres, chroma: Chroma) -> Iterator[Service]:
    it = Service(folder, postgres.url, chroma.port, "[rate_limiting]\nenabled = false\n")
    it.start()
    yield it
    it.stop()
