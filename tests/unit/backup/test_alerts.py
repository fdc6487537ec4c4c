"""The alerting rules ask for metrics that the machines have, and agree with the machines' own check."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from sekha_backup import check

RULES = Path(__file__).parents[3] / "monitoring" / "backup-alerts.yaml"


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_every_metric_exists() -> None:
    used = set(re.findall(r"sekha_backup_(\w+)", " ".join(rule["expr"] for rule in rules().values())))
    assert used <= check.GAUGES.keys()


def test_limits_are_those_of_the_check() -> None:
    limits = {
        "SekhaBackupStale": check.STALE,
        "SekhaArchiveLag": check.LAG,
        "SekhaVerificationMissing": check.VERIFIED_WITHIN,
    }
    for alert, seconds in limits.items():
        factors = rules()[alert]["expr"].rsplit("> ", 1)[1].split(" * ")
        product = 1
        for factor in factors:
            product *= int(factor)
        assert product == seconds, alert


def test_every_alert_says_what_to_do() -> None:
    for name, rule in rules().items():
        assert {"summary", "action"} <= rule["annotations"].keys(), name
