"""The alerting rules before Prometheus' own checker."""

from __future__ import annotations

import subprocess

import pytest

from tests.cloud.conftest import REPO

RULES = REPO / "monitoring"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(REPO / "tools" / "promtool"), *arguments]
    done = subprocess.run(command, cwd=RULES, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode == 69:
        pytest.skip(done.stderr.strip())
    return done


def test_rules_are_valid() -> None:
    done = promtool("check", "rules", "backup-alerts.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    done = promtool("test", "rules", "backup-alerts.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
