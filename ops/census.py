"""How many conversations the service holds, remembered in the bucket: what is told when the data are lost one day."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Any

import httpx

from infra.settings import Settings
from ops import data_record
from ops.engine import OperatorError


def count(outputs: dict[str, Any]) -> int | None:
    """The number of conversations that the stack with these outputs holds; None where it can't be asked from here."""
    try:
        trust = ssl.create_default_context(cafile=outputs.get("caFile") or None)
        answer = httpx.get(
            f"{outputs['url']}/api/v1/conversations", params={"page_size": 1}, verify=trust, timeout=5,
            headers={"Authorization": f"Bearer {outputs['apiKey']}"},
        )  # fmt: skip
        return int(answer.raise_for_status().json()["total"])
    except (httpx.HTTPError, OSError, ValueError, KeyError):
        return None


def remember(settings: Settings, conversations: int) -> None:
    """Note the number in the bucket. One that can't be noted now is with the next `up`: no reason to fail."""
    try:
        data_record.note(settings, conversations, datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    except OperatorError:
        return
