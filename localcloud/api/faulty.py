"""Requests that go wrong because the operator asked for it (localcloud.faults). Wraps the application inside Access."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localcloud import fault_store
from localcloud.api.access import send_error
from localcloud.api.errors import ApiError
from localcloud.faults import ANSWERS, Fault
from localcloud.worker import Cloud

CUT = [(b"content-type", b"application/json"), (b"content-length", b"4096")]  # promised, and never sent


class Faulty:
    """ASGI middleware: answers wrongly, late or not at all where a fault hits."""

    def __init__(self, app: ASGIApp, cloud: Cloud) -> None:
        self.app, self.cloud = app, cloud

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        fault = fault_store.for_request(self.cloud.store, scope["method"], scope["path"].removeprefix("/v1"))
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.kind in ANSWERS:
            await send_error(send, _error(fault))
        elif fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await self.app(scope, receive, send)
        else:
            if fault.kind == "hang":
                await asyncio.sleep(fault.seconds)
            if fault.kind == "cut_after":
                await self.app(scope, receive, _nowhere)
            # uvicorn closes the connection of an answer that is not completed.
            await send({"type": "http.response.start", "status": 200, "headers": CUT})


def _error(fault: Fault) -> ApiError:
    status, code, text = ANSWERS[fault.kind]
    details = {"limits": [{"name": "injected_limit"}]} if code == "resource_limit_exceeded" else None
    return ApiError(status, code, text, details)


async def _nowhere(message: Message) -> None:
    """Where the answer of a request goes whose connection is cut."""
