"""Moving from SQLite to PostgreSQL: the tables, and rows in a form that is the same on both sides."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """What is moved of a table. `columns`: name -> kind (text, time, json or bytes); the first one names a row.

    `order`: the column of SQLite's table by which it is read in pieces.
    """

    name: str
    columns: dict[str, str]
    order: str

    @property
    def listed(self) -> str:
        """The columns for a SELECT or COPY."""
        return ", ".join(f'"{column}"' for column in self.columns)

    def to_postgres(self, row: Row) -> Row:
        """A row of SQLite's as COPY takes it: times carry their zone."""
        return tuple(
            value + "+00:00" if kind == "time" and value is not None else value
            for value, kind in zip(row, self.columns.values(), strict=True)
        )

    def digest(self, row: Row) -> int:
        """128 bits that are the same for a row of either database with the same content."""
        plain = [_CANONICAL[kind](value) for value, kind in zip(row, self.columns.values(), strict=True)]
        text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
        return int.from_bytes(hashlib.sha256(text).digest()[:16], "big")


@dataclass
class Sum:
    """Count and checksum of rows, whatever their order."""

    rows: int = 0
    checksum: int = 0

    def add(self, digests: Iterable[int]) -> None:
        """Count these rows in."""
        for digest in digests:
            self.rows += 1
            self.checksum = (self.checksum + digest) % 2**128

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.checksum:032x}"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    return _number(value) if isinstance(value, float) else str(value)  # a UUID


def _number(value: float) -> float | int:
    """Whole numbers as such: PostgreSQL's jsonb doesn't keep 1e5 apart from 100000."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _time(value: Any) -> str | None:
    if value is None:
        return None
    at = value.astimezone(UTC) if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)
    return at.isoformat(timespec="microseconds")


def _json(value: Any) -> Any:
    return _numbers(orjson.loads(value) if isinstance(value, str) else value)


def _numbers(value: Any) -> Any:
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**53 else float(value)
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list) else value


def _bytes(value: Any) -> str:
    return hashlib.sha256(value).hexdigest()


_CANONICAL = {"text": _plain, "time": _time, "json": _json, "bytes": _bytes}

TABLES = (
    Table(
        "conversations",
        {
            "id": "text",
            "label": "text",
            "folder": "text",
            "status": "text",
            "importance_score": "text",
            "word_count": "text",
            "message_count": "text",
            "token_count": "text",
            "session_count": "text",
            "metadata": "json",
            "created_at": "time",
            "updated_at": "time",
        },
        "id",
    ),
    Table(
        "messages",
        {
            "id": "text",
            "conversation_id": "text",
            "seq": "text",
            "role": "text",
            "content": "text",
            "timestamp": "time",
            "embedding_id": "text",
            "metadata": "json",
        },
        "n",
    ),
    Table("embeddings", {"message_id": "text", "model": "text", "dim": "text", "vector": "bytes"}, "n"),
    Table(
        "hierarchical_summaries",
        {
            "id": "text",
            "conversation_id": "text",
            "level": "text",
            "summary_text": "text",
            "generated_at": "time",
            "model_used": "text",
            "token_count": "text",
        },
        "id",
    ),
    Table(
        "api_keys",
        {
            "name": "text",
            "digest": "bytes",
            "created_at": "time",
            "expires_at": "time",
            "revoked_at": "time",
            "last_used_at": "time",
        },
        "name",
    ),
)
