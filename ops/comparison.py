"""A stack that only compares costs (sekha:compare): the engine runs it on a copy of its config, and makes nothing.

The copy keeps the engine's salt out of the tracked file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ops.engine import Engine
from ops.paths import REPO, stack_dir, write_private


def tracked(stack: str) -> dict[str, Any]:
    """The tracked config file of `stack`, {} where there is none."""
    path = REPO / f"Pulumi.{stack}.yaml"
    content: dict[str, Any] = (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
    return content


def is_comparison(stack: str) -> bool:
    """Whether `stack` is one."""
    return bool((tracked(stack).get("config") or {}).get("sekha:compare"))


def config_copy(stack: str) -> Path:
    """Where its copy is."""
    return stack_dir(stack) / f"Pulumi.{stack}.yaml"


def run(engine: Engine, command: str) -> None:
    """Have the engine show (`preview`) or show and export (`up`) the comparison. Raises OperatorError."""
    salt = {key: value for key, value in engine.config().items() if key != "config"}
    write_private(engine.config_path, yaml.safe_dump({**tracked(engine.stack), **salt}, sort_keys=True))
    engine.select()
    engine.run(command, *(["--yes", "--skip-preview"] if command == "up" else []))
