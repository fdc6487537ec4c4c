"""Reaching into the service's database, whichever it is, for what no endpoint offers: making things old."""

from __future__ import annotations

import sqlite3
import tomllib
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests.service.rig import Service


def execute(service: Service, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement (placeholders `?`; times as datetime) and return its rows."""
    url = tomllib.loads(service.config.read_text())["database"]["url"]
    if url.startswith("sqlite://"):
        texts = [_text(value) for value in values]
        path = url.removeprefix("sqlite://").partition("?")[0]
        connection = sqlite3.connect(path, timeout=10, isolation_level=None)
        try:
            return list(connection.execute(sql, texts))
        finally:
            connection.close()
    with psycopg.connect(url, autocommit=True) as database:
        cursor = database.execute(sql.replace("?", "%s").encode(), values)
        return list(cursor) if cursor.description else []


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return value


def days_ago(days: float) -> datetime:
    """That many days before now, in UTC."""
    return datetime.now(UTC) - timedelta(days=days)


def age(service: Service, conversation: str, days: float) -> None:
    """Make a conversation look unchanged for so many days."""
    then = days_ago(days)
    execute(service, "UPDATE conversations SET updated_at = ?, created_at = ? WHERE id = ?", then, then, conversation)
