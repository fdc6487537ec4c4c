"""Reading fields of a request: types, limits, defaults. Null means absent. BadRequestError names the field."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ..errors import BadRequestError

Fields = Mapping[str, Any]
MAX_INT = 2**31 - 1


def pick(body: Fields, *names: str) -> Any:
    """The first of `names` that is present and not null, else None."""
    return next((body[name] for name in names if body.get(name) is not None), None)


def text(body: Fields, name: str, *, least: int = 0, most: int | None = None, strip: bool = False) -> str | None:
    """A text, or None when absent. `least` and `most` count characters, after stripping when `strip`."""
    value = body.get(name)
    if value is None:
        return None
    return checked_text(value, name, least, most, strip)


def checked_text(value: object, name: str, least: int = 0, most: int | None = None, strip: bool = False) -> str:
    """`value` as a text within the limits."""
    if not isinstance(value, str):
        raise BadRequestError(f"{name} must be a string")
    if "\x00" in value:
        raise BadRequestError(f"{name} must not contain NUL characters")
    result = value.strip() if strip else value
    if len(result) < least:
        raise BadRequestError(
            f"{name} must not be empty" if least == 1 else f"{name} must have at least {least} characters"
        )
    if most is not None and len(result) > most:
        raise BadRequestError(f"{name} must have at most {most} characters")
    return result


def required(value: Any, name: str) -> Any:
    """`value` unless it is None."""
    if value is None:
        raise BadRequestError(f"{name} is required")
    return value


def number(value: object, name: str, low: float, high: float) -> float | None:
    """A finite number within the limits, or None when absent."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadRequestError(f"{name} must be a number")
    if not low <= value <= high:
        raise BadRequestError(f"{name} must be between {low:g} and {high:g}")
    return float(value)


def integer(value: object, name: str, low: int, default: int) -> int:
    """A whole number >= `low` (floats without fraction count); values above 2^31-1 become that."""
    if value is None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRequestError(f"{name} must be a whole number")
    if value < low:
        raise BadRequestError(f"{name} must be at least {low}")
    return min(value, MAX_INT)


def boolean(value: object, name: str) -> bool | None:
    """True or false, also as the texts true/false/1/0 in any case, or None when absent."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "1", "false", "0"):
        return value.lower() in ("true", "1")
    raise BadRequestError(f"{name} must be true or false")


def uuid(value: object, name: str) -> UUID:
    """A UUID in its 36-character form, any case."""
    if isinstance(value, str) and len(value) == 36:
        try:
            result = UUID(value)
        except ValueError:
            pass
        else:
            if str(result) == value.lower():
                return result
    raise BadRequestError(f"{name} must be a UUID")


def instant(value: object, name: str, *, end_of_day: bool = False) -> datetime | None:
    """An ISO-8601 time in UTC (no offset = UTC), or None when absent. A bare date is its start, or its end."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequestError(f"{name} must be an ISO-8601 time")
    try:
        result = datetime.fromisoformat(value.strip())
        result = result.replace(tzinfo=UTC) if result.tzinfo is None else result.astimezone(UTC)
        if end_of_day and len(value.strip()) == 10:
            result += timedelta(days=1, microseconds=-1)
    except (ValueError, OverflowError):
        raise BadRequestError(f"{name} must be an ISO-8601 time") from None
    return result


def texts(value: object, name: str) -> tuple[str, ...] | None:
    """A list of texts (a single text counts as a list of one), or None when absent."""
    if value is None:
        return None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise BadRequestError(f"{name} must be a list of strings")
    return tuple(checked_text(item, name) for item in value)


def json_object(value: object, name: str) -> dict[str, Any] | None:
    """A JSON object that the database can hold (no NUL characters), or None when absent."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadRequestError(f"{name} must be an object")
    if _has_nul(value):
        raise BadRequestError(f"{name} must not contain NUL characters")
    return value


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)
