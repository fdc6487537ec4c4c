"""The web console's HTTP side: static files for everybody on loopback, data for who has the key. Nothing is changed.

Against other web pages in the same browser: only loopback's names are answered to (DNS rebinding), the key travels in a
header (no cookie that a foreign page could ride on), no page of ours can be framed, and scripts come from us alone.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localcloud.backend import BackendError
from localcloud.web.state import state
from localcloud.worker import Cloud

STATIC = Path(__file__).parent / "static"
HOSTS = ["127.0.0.1", "localhost"]  # with any port: a tunnel by SSH may end at another one
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Guard:
    """ASGI middleware: the headers above on every answer, and 401 for data without the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app, self.key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        given = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ")
        if scope["path"].startswith("/data/") and not hmac.compare_digest(given.encode(), self.key.encode()):
            await _refused(401, "the key is missing or wrong")(scope, receive, send_more)
            return
        await self.app(scope, receive, send_more)


def _refused(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)


def _json(request: Request, data: Any) -> Response:
    """The data, or 304 if the browser has just that."""
    answer = JSONResponse(data)
    tag = f'"{hashlib.sha256(bytes(answer.body)).hexdigest()[:20]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    answer.headers["ETag"] = tag
    return answer


async def _overview(cloud: Cloud, request: Request) -> Response:
    """GET /data/state?project=ID; without one, the first project."""
    known = [number for number, _ in cloud.store.projects()]
    text = request.query_params.get("project", "")
    project = int(text) if text.isdecimal() and int(text) in known else next(iter(known), 0)
    return _json(request, await run_in_threadpool(state, cloud, project))


async def _output(cloud: Cloud, read: Callable[[Request, int], Any], request: Request) -> Response:
    """GET /data/servers/ID/console?from=N, .../journal?after=CURSOR: {"text", "next"}; `next` continues there."""
    number = request.path_params["id"]
    if cloud.store.name_of("server", number) is None:
        return _refused(404, f"server {number} is gone")
    try:
        text, following = await run_in_threadpool(read, request, number)
    except (BackendError, ValueError) as error:
        return _refused(409, str(error))
    return JSONResponse({"text": text, "next": following})


def create_web(cloud: Cloud, key: str) -> Starlette:
    """The console over `cloud` as an ASGI application; `key` opens its data."""

    def console(request: Request, number: int) -> tuple[str, int]:
        return cloud.backend.console(number, int(request.query_params.get("from", "-1")))

    def journal(request: Request, number: int) -> tuple[str, str]:
        return cloud.backend.journal(number, request.query_params.get("after", ""))

    async def index(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/data/state", functools.partial(_overview, cloud)),
            Route("/data/servers/{id:int}/console", functools.partial(_output, cloud, console)),
            Route("/data/servers/{id:int}/journal", functools.partial(_output, cloud, journal)),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, key=key), Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)],
    )
