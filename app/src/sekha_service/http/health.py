"""GET /health: real checks, concurrent and bounded; their result is kept for up to a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .. import __version__
from ..errors import ApiError
from ..logs import now_rfc3339
from ..model import Json
from .routing import answer
from .services import Services

_BOUND_SECONDS = 2.0
_KEEP_SECONDS = 1.0


class Health:
    """Runs the checks, at most one round at a time, for all who ask."""

    def __init__(self, parts: Services) -> None:
        self._parts = parts
        self._started = time.monotonic()
        self._checks: Json = {}
        self._checked = -_KEEP_SECONDS
        self._round: asyncio.Task[None] | None = None

    async def report(self) -> tuple[Json, int]:
        """The body and the status: 503 when the database is away or the service drains."""
        if time.monotonic() - self._checked >= _KEEP_SECONDS:
            if self._round is None or self._round.done():
                self._round = asyncio.create_task(self._run())
            await asyncio.shield(self._round)
        down = self._checks["database"]["status"] != "ok" or self._parts.draining
        degraded = any(check["status"] != "ok" for check in self._checks.values())
        body = {
            "status": "unhealthy" if down else "degraded" if degraded else "healthy",
            "version": __version__,
            "timestamp": now_rfc3339(),
            "uptime_seconds": int(time.monotonic() - self._started),
            "checks": self._checks,
        }
        if self._parts.draining:
            body["draining"] = True
        return body, 503 if down else 200

    async def _run(self) -> None:
        parts = self._parts
        names: list[tuple[str, Callable[[], Awaitable[Any]]]] = [
            ("database", parts.store.ping),
            ("chroma", parts.index.check),
            ("llm_bridge", parts.llm.check),
        ]
        results = await asyncio.gather(*(_timed(check) for _, check in names))
        self._checks = {name: result for (name, _), result in zip(names, results, strict=True)}
        self._checked = time.monotonic()


async def _timed(check: Callable[[], Awaitable[Any]]) -> Json:
    start = time.monotonic()
    error = None
    try:
        async with asyncio.timeout(_BOUND_SECONDS):
            await check()
    except TimeoutError:
        error = f"no answer within {_BOUND_SECONDS:g} s"
    except ApiError as failure:
        error = failure.message
    except Exception as failure:  # whatever it is, it is the check's result
        error = str(failure) or type(failure).__name__
    result: Json = {"status": "error" if error else "ok", "latency_ms": round((time.monotonic() - start) * 1000, 2)}
    return {**result, "error": error} if error else result


async def show(request: Request) -> Response:
    """GET /health"""
    health: Health = request.app.state.health
    body, status = await health.report()
    return answer(body, status, {"Cache-Control": "no-store"})
