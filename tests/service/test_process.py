"""Start, stop, workers, exit codes."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sekha_service.store.migrate import migrations

from tests.service.rig import API_KEY, Chroma, Database, Service, controller
from tests.support import wait_for


def _workers(service: Service) -> list[int]:
    assert service.process
    pid = service.process._process.pid
    children = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in children if Path(f"/proc/{child}/comm").read_text().strip() == "sekha-worker"]


def test_workers_behave_as_one(tmp_path: Path, database: Database, chroma: Chroma) -> None:
    limit = "[rate_limiting]\nrequests_per_second = 0.01\nburst_size = 30\n"
    it = Service(tmp_path, database.url, chroma.port, f"[server]\nworkers = 2\n{limit}")
    it.start()
    assert len(_workers(it)) == 2

    def ask(_: int) -> int:  # a connection each, so that both workers get some
        return httpx.get(f"{it.url}/api/v1/conversations/count", headers={"X-API-Key": API_KEY}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask, range(40)))
    assert statuses.count(200) == 30, "one bucket for both workers"
    assert statuses.count(429) == 10
    assert it.metric('sekha_http_requests_total{method="GET",path="/api/v1/conversations/count"') == 30

    victim = _workers(it)[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(_workers(it)) == 2 and victim not in _workers(it), 10, "a killed worker is replaced")
    assert httpx.get(f"{it.url}/health").status_code == 200
    assert it.process
    assert it.process.terminate() == 0
    it.stop()


def test_drains_then_exits_with_zero(tmp_path: Path, database: Database, chroma: Chroma) -> None:
    it = Service(tmp_path, database.url, chroma.port, "[server]\ndrain_seconds = 2\n")
    it.start()
    assert it.process
    it.process._process.send_signal(signal.SIGTERM)
    wait_for(lambda: it.status() == 503, 2, "draining shows in /health", interval=0.02)
    assert it.client.get("/api/v1/conversations/count").status_code == 200, "still serving while draining"
    assert it.process.wait() == 0
    it.stop()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "server.api_key is not set"),
        ('[server]\napi_key = "short"', "server.api_key = (hidden): must have at least 32 characters"),
        ("[server]\nport = 0", "server.port = 0: must be between 1 and 65535"),
        (
            '[database]\nurl = "mysql://x"',
            "database.url = 'mysql://x': must begin with postgresql:// or be sqlite://PATH",
        ),
        ("[server", "is not valid TOML"),
    ],
)
def test_bad_configuration_is_exit_code_2(tmp_path: Path, settings: str, message: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(settings)
    result = controller("--config", str(config))
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_migrate_schema_and_taken_port(tmp_path: Path, database: Database, service: Service) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[database]\nurl = "{database.url}"\n')
    newest = migrations("sqlite" if database.is_sqlite else "postgres")[-1].version
    for _ in range(2):
        result = controller("migrate-schema", "--config", str(config), SEKHA_API_KEY=API_KEY)
        assert result.returncode == 0
        assert f"schema version {newest}" in result.stdout
    taken = controller("--config", str(config), "--port", str(service.port), SEKHA_API_KEY=API_KEY)
    assert taken.returncode == 1
    assert "cannot listen on 127.0.0.1" in taken.stdout


def test_a_trial_says_whether_a_version_could_serve(tmp_path: Path, database: Database, service: Service) -> None:
    """Beside the service: that one goes on, and its data are as they were."""
    made = service.create("kept", "a trial changes nothing")
    good = controller("try", "--config", str(service.config), SEKHA_API_KEY=API_KEY)
    assert good.returncode == 0, good.stdout
    assert "the trial worker is healthy" in good.stdout
    assert service.client.get(f"/api/v1/conversations/{made['id']}").status_code == 200
    config = tmp_path / "bad.toml"
    away = f"sqlite://{tmp_path}/none/x" if database.is_sqlite else "postgresql://nobody@127.0.0.1:1/x"
    config.write_text(f'[database]\nurl = "{away}"\nconnection_timeout_seconds = 1\n')
    bad = controller("try", "--config", str(config), "--seconds", "3", SEKHA_API_KEY=API_KEY)
    assert bad.returncode == 1
    assert "the trial failed" in bad.stdout
