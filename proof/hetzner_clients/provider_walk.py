"""The Pulumi provider: one program with every resource type it has, up, changed, refreshed and destroyed."""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi_hcloud
from pulumi import CustomResource

from tests.cloud.provider_rig import Engine, first_config, served

CHANGE = {"size": "cx33", "environment": "prod", "volume_size": "20", "ttl": "600"}


def every_type() -> set[str]:
    """All resource types of the pinned provider."""
    classes = [value for value in vars(pulumi_hcloud).values() if isinstance(value, type)]
    return {value.__name__ for value in classes if issubclass(value, CustomResource)} - {"Provider"}


def _say(text: str) -> None:
    print(f"pulumi-hcloud: {text}", file=sys.stderr, flush=True)


def life(folder: Path) -> dict[str, str]:
    """Resource type -> what was done with it, or FAILED and why. Raises AssertionError if pulumi fails."""
    with served(folder) as engine:
        return _life(engine)


def _life(engine: Engine) -> dict[str, str]:
    engine.up(**first_config(engine.folder))
    made = engine.types()
    _say(f"{sum(made.values())} resources of {len(made)} types are there")
    engine.expect_no_changes()
    engine.configure(**CHANGE)
    plan = engine.plan()
    engine.up()
    engine.expect_no_changes()
    _say("changed in place, and nothing more to change")
    engine.pulumi("refresh", "--yes", "--skip-preview")
    kept = engine.types()
    engine.pulumi("destroy", "--yes", "--skip-preview")
    left = engine.left()
    _say("refreshed and destroyed")
    return {kind: _outcome(kind, made, plan, kept, left) for kind in sorted(every_type())}


def _outcome(kind: str, made: dict[str, int], plan: dict[str, set[str]], kept: dict[str, int], left: list[str]) -> str:
    if kind not in made:
        return "FAILED: the program has none"
    if kept.get(kind) != made[kind]:
        return f"FAILED: {made[kind]} made, {kept.get(kind, 0)} after refresh"
    if left:
        return f"FAILED: left in the cloud: {', '.join(left)}"
    changed = "updated in place" if "update" in plan.get(kind, set()) else "unchanged"
    return f"ok: {made[kind]} created, read back, {changed}, refreshed, deleted"
