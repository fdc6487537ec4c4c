"""Taking rows out of an exported state without leaving a reference to them behind. Pure."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

State = dict[str, Any]


def without(state: State, gone: Collection[tuple[str, str]]) -> State:
    """`state` (of `pulumi stack export`) without the rows (URN, id) and without pending operations."""
    made = copy.deepcopy(state)
    deployment = made["deployment"]
    deployment.pop("pending_operations", None)
    rows = deployment.get("resources") or []
    kept = [row for row in rows if (row["urn"], row.get("id", "")) not in gone]
    lost = {row["urn"] for row in rows} - {row["urn"] for row in kept}
    for row in kept:
        if row.get("dependencies"):
            row["dependencies"] = [urn for urn in row["dependencies"] if urn not in lost]
        for name, urns in (row.get("propertyDependencies") or {}).items():
            row["propertyDependencies"][name] = [urn for urn in urns or [] if urn not in lost]
        if row.get("deletedWith") in lost:
            del row["deletedWith"]
    deployment["resources"] = kept
    return made
