"""Which alerting rules hold for metrics as a machine shows them, by Prometheus' own evaluation (promtool)."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from ops.engine import OperatorError
from ops.paths import REPO

RULES = REPO / "monitoring" / "backup-alerts.yaml"
AT = 20  # days after 1970 at which promtool is asked; times in the metrics are moved there
SAMPLE = re.compile(r"^(\w+)(\{.*\}) (\S+)$", re.MULTILINE)


def series(metrics: str, now: float) -> list[dict[str, str]]:
    """Metrics in Prometheus' text format as promtool's input: each value stays; times are relative to AT. Pure."""
    found = []
    for name, labels, value in SAMPLE.findall(metrics):
        number = float(value)
        if name.endswith("_timestamp_seconds") and number:
            number += AT * 86400 - now
        found.append({"series": name + labels, "values": f"{number:.15g}x{AT}"})
    return found


def asked(rule: dict[str, Any]) -> str:
    """An expression that is 0 unless the rule's own is true. Pure."""
    return f"count({rule['expr']}) or vector(0)"


def holding(metrics: str, now: float) -> list[str]:
    """The alerts whose expression is true for these metrics at `now` (seconds since 1970). Raises OperatorError."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    tests: list[dict[str, Any]] = [
        {
            "name": rule["alert"],
            "interval": "1d",
            "input_series": series(metrics, now),
            "promql_expr_test": [
                {
                    "expr": asked(rule),
                    "eval_time": f"{AT}d",
                    "exp_samples": [{"value": 0, "labels": "{}"}],
                }
            ],
        }
        for rule in rules
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.yaml"
        path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1d", "tests": tests}))
        command = [str(REPO / "tools" / "promtool"), "test", "rules", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    told = done.stdout + done.stderr
    wrong = {json.loads(text) for text in re.findall(r'expr: ("(?:[^"\\]|\\.)*"), time:', told)}
    found = [rule["alert"] for rule in rules if asked(rule) in wrong]
    if done.returncode not in (0, 1) or (done.returncode == 1 and not found):
        raise OperatorError(f"promtool: {told[-500:]}")
    return found
