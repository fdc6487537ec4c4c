"""Reading typed values out of a stack's raw config, noting everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from infra.checks import BadValueError

T = TypeVar("T")

PROJECT = "sekha"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the config: the full key, the value (of a secret its length), the remedy."""

    key: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key} = {self.value}: {self.remedy}"


OBJECT_STORE_KEYS = ("bucketAccessKey", "bucketSecretKey", "nodeAccessKey", "nodeSecretKey")
"""Made at the object store, by hand, where the cloud's API can't create them (infra/cloud_access.py)."""


class SettingsError(Exception):
    """The config can't be used. `problems` holds everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(["the stack's config can't be used:", *(f"  {problem}" for problem in problems)]))


class Reader:
    """Reads typed values out of the raw config and notes what is wrong, so that all errors come at once."""

    def __init__(self, config: Mapping[str, str], stack: str) -> None:
        self.config, self.stack = config, stack
        self.problems: list[Problem] = []

    def note(self, key: str, value: object, remedy: str) -> None:
        self.problems.append(Problem(key, str(value), remedy))

    def text(self, key: str, check: Callable[[str], str] | None = None) -> str:
        value = self.config.get(f"{PROJECT}:{key}", "")
        return self.checked(f"{PROJECT}:{key}", value, value, check, "")

    def integer(self, key: str, default: int, check: Callable[[int], int]) -> int:
        raw = self.config.get(f"{PROJECT}:{key}", str(default))
        try:
            value = int(raw)
        except ValueError:
            self.note(f"{PROJECT}:{key}", raw, "must be a whole number")
            return default
        return self.checked(f"{PROJECT}:{key}", raw, value, check, default)

    def boolean(self, key: str, default: bool) -> bool:
        raw = self.config.get(f"{PROJECT}:{key}", str(default).lower())
        if raw not in ("true", "false"):
            self.note(f"{PROJECT}:{key}", raw, "must be true or false")
        return raw == "true"

    def json(self, key: str, kind: type[T], shape: str) -> T:
        raw = self.config.get(f"{PROJECT}:{key}") or json.dumps(kind())
        try:
            value = json.loads(raw)
        except ValueError:
            value = None
        if isinstance(value, kind):
            return value
        self.note(f"{PROJECT}:{key}", raw, f"must be {shape}")
        return kind()

    def texts(self, key: str, check: Callable[[str], str]) -> tuple[str, ...]:
        rows = self.json(key, list, "a list of strings, e.g. [a, b]")
        name = f"{PROJECT}:{key}"
        return tuple(self.checked(f"{name}[{i}]", row, str(row), check, "") for i, row in enumerate(rows))

    def secret(
        self, key: str, check: Callable[[str], str], encrypted: Collection[str] | None, optional: bool = False
    ) -> str:
        name = f"{PROJECT}:{key}"
        value = self.config.get(name, "")
        if not value:
            if optional:
                return ""
            asks = ", which asks for it (a key of the object store)" if key in OBJECT_STORE_KEYS else ""
            self.note(name, "missing", f"run: make init STACK={self.stack}{asks}")
            return ""
        shown = f"(secret of {len(value)} characters)"
        if encrypted is not None and name not in encrypted:
            self.note(name, shown, f"is not encrypted; change it, and set it by: pulumi config set --secret {key}")
        return self.checked(name, shown, value, check, "")

    def checked(self, key: str, shown: object, value: T, check: Callable[[T], T] | None, fallback: T) -> T:
        try:
            return check(value) if check else value
        except BadValueError as error:
            self.note(key, shown if str(shown) else '""', str(error))
            return fallback

    def part(self, bucket: Mapping[str, Any], name: str, check: Callable[[str], str], optional: bool = False) -> str:
        key, value = f"{PROJECT}:bucket.{name}", bucket.get(name, "")
        if not value:
            if not optional:
                self.note(key, "missing", "needed: endpoint, region, name and addressing; see docs/configuration.md")
            return ""
        return self.checked(key, str(value), str(value), check, "")
