"""One PostgreSQL cluster and one Chroma for all; for each test module a database of its own, and a service on it.

What uses `service` or `database` runs twice: on PostgreSQL and on SQLite.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.rig import REPO, Chroma, Database, Postgres, Service

sys.path.insert(0, str(REPO / "app" / "src"))  # for the tests that look into the service's own modules


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="module")
def postgres(cluster: Postgres) -> Postgres:
    """The cluster, with a new database at its `url`."""
    cluster.url = cluster.new_database()
    return cluster


@pytest.fixture(scope="session")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chroma]:
    server = Chroma(tmp_path_factory.mktemp("chroma"))
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    if request.param == "sqlite":
        return Database(f"sqlite://{tmp_path_factory.mktemp('data') / 'sekha.db'}")
    return Database(request.getfixturevalue("postgres").url)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(folder: Path, database: Database, chroma: Chroma) -> Iterator[Service]:
    it = Service(folder, database.url, chroma.port, "[rate_limiting]\nenabled = false\n")
    it.start()
    yield it
    it.stop()
