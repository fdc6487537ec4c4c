"""GET /metrics in Prometheus' text format, added up over all workers.

Workers share their figures through files in PROMETHEUS_MULTIPROC_DIR; server.py sets it before importing this module.
"""

import asyncio
import os
import time
from functools import cache

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from ..errors import ApiError
from ..model import Totals
from .services import services

disable_created_metrics()  # type: ignore[no-untyped-call]
REQUESTS = Counter("sekha_http_requests_total", "HTTP requests answered", ["method", "path", "status"])
DURATION = Histogram(
    "sekha_http_request_duration_seconds",
    "Time from request to answer",
    ["method", "path"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_KEEP_SECONDS = 5.0
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))


def observe(method: str, template: str, status: int, seconds: float) -> None:
    """Count one request."""
    count, duration = _series(method if method in _METHODS else "other", template, status)
    count.inc()
    duration.observe(seconds)


@cache  # finding a series by its labels costs more than counting; there are as few of them as routes and statuses
def _series(method: str, template: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, template, str(status)), DURATION.labels(method, template)


class _Stored(Collector):
    """The figures that come from the store."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> list[Metric]:
        conversations = GaugeMetricFamily("sekha_conversations_total", "Stored conversations", labels=["status"])
        for status, count in ({"active": 0, "archived": 0} | self._totals.conversations_by_status).items():
            conversations.add_metric([status], count)
        outbox_age = "Age of the oldest message the vector index has still to learn"
        behind = "Messages that replicas of the vector index missed, counted up to 100,000"
        return [
            conversations,
            GaugeMetricFamily("sekha_messages_total", "Stored messages", self._totals.messages),
            GaugeMetricFamily("sekha_database_size_bytes", "Size of the database", self._totals.database_bytes),
            GaugeMetricFamily("sekha_outbox_items", "Changes waiting for the vector index", self._totals.outbox),
            GaugeMetricFamily("sekha_outbox_age_seconds", outbox_age, self._totals.outbox_age_seconds),
            GaugeMetricFamily("sekha_replicas_behind_items", behind, self._totals.behind),
        ]


class TotalsCache:
    """The store's figures, at most a few seconds old; the last known ones while the database is away."""

    def __init__(self) -> None:
        self._totals: Totals | None = None
        self._at = -_KEEP_SECONDS

    async def get(self, request: Request) -> Totals | None:
        if time.monotonic() - self._at >= _KEEP_SECONDS:
            try:
                async with asyncio.timeout(5):
                    self._totals = await services(request).store.totals()
                self._at = time.monotonic()
            except (ApiError, TimeoutError):
                pass
        return self._totals


async def show(request: Request) -> Response:
    """GET /metrics"""
    cache: TotalsCache = request.app.state.totals
    totals = await cache.get(request)
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        parts = [generate_latest(registry)]
    else:
        parts = [generate_latest(REGISTRY)]
    if totals:
        stored = CollectorRegistry()
        stored.register(_Stored(totals))
        parts.append(generate_latest(stored))
    return Response(b"".join(parts), media_type="text/plain; version=0.0.4; charset=utf-8")
