"""What servers and load balancers did in the last two hours, for the API's metrics: counters read every ten seconds.

Kept in memory: a restart of the daemon begins anew, and what happened before the first two samples is not known.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from itertools import pairwise
from typing import Protocol

from localcloud.backend import Backend, BackendError
from localcloud.store import Store

LOG = logging.getLogger(__name__)
EVERY = 10.0  # s between samples
KEEP = 720  # samples of one object: two hours
GAUGES = {"open_connections"}  # shown as they were; of all other counters the change per second is shown

Key = tuple[str, int]  # (type, id)
Sample = tuple[float, dict[str, float]]  # unix seconds, name of the series -> counter


class _Source(Protocol):
    """The part of localcloud.worker.Cloud that is read."""

    store: Store
    backend: Backend


class Samples:
    """The samples of all objects. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Key, deque[Sample]] = {}

    def add(self, key: Key, moment: float, counters: dict[str, float]) -> None:
        """Keep a sample; an empty one is none."""
        if counters:
            with self._lock:
                self._kept.setdefault(key, deque(maxlen=KEEP)).append((moment, counters))

    def forget_but(self, keys: set[Key]) -> None:
        """Drop objects that are gone."""
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if key in keys}

    def span(self, key: Key, start: float, end: float) -> tuple[float, float]:
        """When the first and the last sample from `start` to `end` were taken; (0, 0) if there was none."""
        with self._lock:
            moments = [moment for moment, _ in self._kept.get(key, ()) if start <= moment <= end]
        return (moments[0], moments[-1]) if moments else (0.0, 0.0)

    def series(self, key: Key, name: str, start: float, end: float, step: int) -> list[tuple[int, str]]:
        """(unix seconds, value) for each step from `start` to `end` (unix seconds) in which there were samples."""
        with self._lock:
            kept = list(self._kept.get(key, ()))
        buckets: dict[int, list[float]] = {}
        for (before, old), (moment, new) in pairwise(kept):
            if start <= moment <= end and moment > before:
                number = int((moment - start) // step)
                last, value = old.get(name, 0), new.get(name, 0)
                grown = value - last if value >= last else value  # less than before: it was started again
                buckets.setdefault(number, []).append(value if name in GAUGES else grown / (moment - before))
        rows = sorted(buckets.items())
        return [(int(start) + number * step, f"{sum(values) / len(values):.6g}") for number, values in rows]


def take(samples: Samples, cloud: _Source) -> None:
    """One sample of every server and load balancer there is."""
    keys: set[Key] = set()
    for kind, read in (("server", cloud.backend.server_counters), ("load_balancer", cloud.backend.balancer_counters)):
        for row in cloud.store.all(None, kind):
            keys.add((kind, row["id"]))
            try:
                samples.add((kind, row["id"]), time.time(), read(row["id"]))
            except (BackendError, OSError) as error:
                LOG.debug("no sample of %s %d: %s", kind, row["id"], error)
    samples.forget_but(keys)


def watch(samples: Samples, cloud: _Source, stop: threading.Event) -> None:
    """Take samples until `stop` is set."""
    while not stop.wait(EVERY):
        try:
            take(samples, cloud)
        except Exception:  # metrics are no reason to end
            LOG.exception("samples for metrics")
