"""Metrics of servers and load balancers: the series asked for, of what the local cloud measured."""

from __future__ import annotations

from datetime import UTC, datetime

from localcloud.api.call import Call
from localcloud.api.errors import invalid
from localcloud.samples import EVERY, Key, Samples
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


def _step(samples: Samples, key: Key, start: float, end: float) -> int:
    """The step where the client leaves it to us: as fine as the samples are, for at most MAX_VALUES of them."""
    first, last = samples.span(key, start, end)
    return max(int(EVERY), int((last - first) // MAX_VALUES))


def metrics_of(call: Call, key: Key, known: dict[str, list[str]]) -> Data:
    """The body of an answer. `known`: type -> its series. Types come repeated or joined by commas."""
    kinds = [kind for text in call.query.get("type", []) for kind in text.split(",")]
    if not kinds or any(kind not in known for kind in kinds):
        raise invalid("type", f"must be some of {', '.join(known)}")
    (first, start), (last, end) = _time(call, "start"), _time(call, "end")
    if end < start:
        raise invalid("end", "must not be before start")
    samples, wanted = call.cloud.samples, call.query.get("step")
    text = wanted[-1] if wanted else str(_step(samples, key, start, end))
    if not text.isdecimal() or int(text) < 1:
        raise invalid("step", "must be a number of seconds")
    step, series = int(text), {}
    for name in (name for kind in kinds for name in known[kind]):
        values = samples.series(key, name, start, end, step)
        # Debian's hcloud panics when it is to draw a single value.
        series[name] = {"values": values if wanted or len(values) > 1 else []}
    return {"metrics": {"start": first, "end": last, "step": step, "time_series": series}}
