"""Metrics of servers and load balancers: the series asked for, of what the local cloud measured."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from localcloud.api.call import Call
from localcloud.api.errors import invalid
from localcloud.samples import Key
from localcloud.store import Data

MAX_VALUES = 500  # of one series


def _time(call: Call, key: str) -> tuple[str, float]:
    """The text of a query parameter and the unix seconds it means."""
    text = (call.query.get(key) or [""])[-1]
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # a plus that nobody escaped arrives as a blank
    except ValueError:
        raise invalid(key, "must be a time in ISO 8601 format") from None
    return text, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def metrics_of(call: Call, key: Key, known: dict[str, list[str]]) -> Data:
    """The body of an answer. `known`: type -> its series. Types come repeated or joined by commas."""
    kinds = [kind for text in call.query.get("type", []) for kind in text.split(",")]
    if not kinds or any(kind not in known for kind in kinds):
        raise invalid("type", f"must be some of {', '.join(known)}")
    (first, start), (last, end) = _time(call, "start"), _time(call, "end")
    if end < start:
        raise invalid("end", "must not be before start")
    text = (call.query.get("step") or [str(max(1, int((end - start) // MAX_VALUES)))])[-1]
    if not text.isdecimal() or int(text) < 1:
        raise invalid("step", "must be a number of seconds")
    samples, step = call.cloud.samples, int(text)
    series: dict[str, Any] = {
        name: {"values": samples.series(key, name, start, end, step)} for kind in kinds for name in known[kind]
    }
    return {"metrics": {"start": first, "end": last, "step": step, "time_series": series}}
