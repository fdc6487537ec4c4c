"""Metrics of servers and load balancers: the series asked for, without values, as the local cloud does not measure."""

from __future__ import annotations

from typing import Any

from localcloud.api.call import Call
from localcloud.api.errors import invalid
from localcloud.store import Data


def metrics_of(call: Call, known: dict[str, list[str]]) -> Data:
    """The body of an answer. `known`: type -> its series. Types come repeated or joined by commas."""
    kinds = [kind for text in call.query.get("type", []) for kind in text.split(",")]
    if not kinds or any(kind not in known for kind in kinds):
        raise invalid("type", f"must be some of {', '.join(known)}")
    values: dict[str, Any] = {}
    for key in ("start", "end"):
        if not call.query.get(key):
            raise invalid(key, "must be a time")
        values[key] = call.query[key][-1]
    step = (call.query.get("step") or ["60"])[-1]
    if not step.isdecimal() or int(step) < 1:
        raise invalid("step", "must be a number of seconds")
    series: dict[str, Any] = {name: {"values": []} for kind in kinds for name in known[kind]}
    return {"metrics": {**values, "step": int(step), "time_series": series}}
