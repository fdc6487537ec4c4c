"""The form of a manifest, checked before anything of it is used: a signed one may be malformed, too."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from sekha_stage0.common import RefusedError
from sekha_stage0.manifest import HASH, NAME

Test = Callable[[Any], bool]


def is_hash(value: Any) -> bool:
    return isinstance(value, str) and bool(HASH.fullmatch(value))


def is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(NAME.fullmatch(value))


def is_size(value: Any) -> bool:
    return type(value) is int and value >= 0


def is_mode(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 4 and value[0] == "0" and set(value) <= set("01234567")


def is_path(value: Any) -> bool:
    """A path that stays in its folder."""
    if not isinstance(value, str) or not value or "\0" in value:
        return False
    path = PurePosixPath(value)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def is_check(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.startswith("/"))


def is_units(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(unit, str) and not unit.startswith("-") for unit in value)


STEP: dict[str, Test] = {
    "stage": is_name, "role": is_name, "config": is_hash, "units": is_units, "check": is_check,
}  # fmt: skip
FILE: dict[str, Test] = {"path": is_path, "sha256": is_hash, "size": is_size, "mode": is_mode}


def check(manifest: dict[str, Any]) -> None:
    """Raise RefusedError, naming the place and the value, unless steps, files and secrets have their form."""
    for key, form in (("steps", STEP), ("files", FILE)):
        rows = manifest.get(key)
        if not isinstance(rows, list) or (key == "steps" and not rows):
            raise RefusedError(f"malformed manifest: {key} is {str(rows)[:100]!r}, not a list of what to do")
        for number, row in enumerate(rows):
            _check_row(f"{key}[{number}]", row, form)
    secrets = manifest.get("secrets")
    if secrets is not None:
        _check_row("secrets", secrets, {"sha256": is_hash})


def _check_row(place: str, row: Any, form: dict[str, Test]) -> None:
    if not isinstance(row, dict):
        raise RefusedError(f"malformed manifest: {place} is {str(row)[:100]!r}, not an object")
    for name, test in form.items():
        if name not in row or not test(row[name]):
            value = str(row.get(name, "missing"))[:100]
            hint = " (a path must not leave its folder)" if name == "path" else ""
            raise RefusedError(f"malformed manifest: {place}.{name} is {value!r}{hint}")
