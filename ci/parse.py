"""The JSON of `pulumi preview --json --show-sames` -> Preview: one Change a resource. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

ACTIONS = {
    "create": "create", "import": "create", "update": "change", "delete": "delete", "same": "same",
    "replace": "replace", "create-replacement": "replace", "delete-replaced": "replace",
    "import-replacement": "replace", "discard-replaced": "replace",
}  # fmt: skip
"""The engine's word for a step -> ours. Others (read, refresh, ...) change nothing."""

HIDDEN = ("__", "sourcePosition")  # what the engine and providers keep for themselves


class NoPreviewError(Exception):
    """The text is not what `pulumi preview --json` prints; the message says what it looks like."""


@dataclass(frozen=True)
class Resource:
    """A resource as it is or will be; `inputs` may hold secrets and must not be shown unfiltered."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool


@dataclass(frozen=True)
class Change:
    """What happens to one resource; `paths` are the inputs that differ, e.g. rules[3].sourceIps[0]."""

    urn: str
    action: str
    paths: tuple[str, ...]
    old: Resource | None
    new: Resource | None

    @property
    def resource(self) -> Resource:
        """As it will be, or as it was when it goes."""
        found = self.new or self.old
        assert found is not None  # noqa: S101 - parse() makes none without both
        return found

    @property
    def kind(self) -> str:
        """The last word of the type: Server of hcloud:index/server:Server."""
        return self.resource.type.rsplit(":", 1)[-1]


@dataclass(frozen=True)
class Preview:
    """A whole preview. `errors` not empty: it failed, and `changes` may lack what was not reached."""

    stack: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    errors: tuple[str, ...]
    config: Mapping[str, str]
    cost_before: str = ""  # the stack's output monthlyCost, e.g. "5.06 EUR"


def parse(text: str) -> Preview:
    """The preview that the engine printed. Raises NoPreviewError for anything else (also an empty text)."""
    try:
        raw = json.loads(text)
    except ValueError:
        raise NoPreviewError(f"not JSON: {text.strip()[:200] or 'nothing'}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("steps", []), list) or "config" not in raw:
        raise NoPreviewError("JSON, but not of `pulumi preview --json`: it has no steps and no config")
    changes: dict[str, Change] = {}
    stack = cost_before = ""
    for step in raw.get("steps") or []:
        stack = step["urn"].split("::")[0].rsplit(":", 1)[-1]
        if step["urn"].split("::")[2:3] == ["pulumi:pulumi:Stack"]:
            cost_before = str(((step.get("oldState") or {}).get("outputs") or {}).get("monthlyCost") or "")
        change = _change(step)
        if change is None:
            continue
        changes[change.urn] = _merge(changes[change.urn], change) if change.urn in changes else change
    said = [(row.get("severity", ""), row.get("message", "").strip()) for row in raw.get("diagnostics") or []]
    return Preview(
        stack=stack,
        changes=tuple(changes.values()),
        notes=tuple(message for severity, message in said if severity in ("info", "info#err", "warning")),
        errors=tuple(message.removeprefix("error: ") for severity, message in said if severity == "error"),
        config={key: value if isinstance(value, str) else json.dumps(value) for key, value in raw["config"].items()},
        cost_before=cost_before,
    )


def _change(step: Mapping[str, Any]) -> Change | None:
    old, new = _resource(step.get("oldState")), _resource(step.get("newState"))
    action = ACTIONS.get(step["op"], "same")
    if old is None and new is None:
        return None
    if action == "delete":
        new = None
    paths = _paths(step, old, new) if action in ("change", "replace") else ()
    return Change(step["urn"], action, paths, old, new)


def _merge(one: Change, other: Change) -> Change:
    """The parts of one resource's replacement come as several steps."""
    action = one.action if one.action in ("replace", other.action) else other.action
    paths = tuple(dict.fromkeys(one.paths + other.paths))
    return replace(one, action=action, paths=paths, old=one.old or other.old, new=other.new or one.new)


def _resource(state: Mapping[str, Any] | None) -> Resource | None:
    if not state:
        return None
    return Resource(
        state["type"], state["urn"].rsplit("::", 1)[-1], state.get("inputs") or {}, bool(state.get("protect"))
    )


def _paths(step: Mapping[str, Any], old: Resource | None, new: Resource | None) -> tuple[str, ...]:
    """The inputs that differ: as the provider says, else by comparing (dynamic resources say nothing)."""
    told = [*(step.get("detailedDiff") or {}), *(step.get("replaceReasons") or []), *(step.get("diffReasons") or [])]
    found = list(dict.fromkeys(path for path in told if not path.startswith(HIDDEN)))
    nested = {path.split(".")[0].split("[")[0] for path in found if "." in path or "[" in path}
    if found:
        return tuple(path for path in found if path not in nested)
    return tuple(_differing(old.inputs if old else {}, new.inputs if new else {}))


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*old, *new]):
        if not key.startswith(HIDDEN) and old.get(key) != new.get(key):
            yield key


def value_at(inputs: Mapping[str, Any], path: str) -> Any:
    """The value at a property path such as rules[3].sourceIps[0]; None where there is none."""
    found: Any = inputs
    for part in path.replace("[", ".[").split("."):
        key: str | int = part
        if part.startswith("["):
            text = part[1:-1].strip('"')
            key = int(text) if text.isdigit() else text
        try:
            found = found[key]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def failed(stack: str, output: str) -> Preview:
    """What there is to say when the engine printed no preview at all."""
    return Preview(stack, (), (), (output.strip() or "the engine printed nothing",), {})
