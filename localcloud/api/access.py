"""Who may ask, and how often: tokens, rate limit, correlation ids. Wraps the whole application."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localcloud.api.errors import ApiError
from localcloud.worker import Cloud

RATE_LIMIT = 3600  # requests an hour, Hetzner's: one a second is given back


class Buckets:
    """One leaky bucket per project. `take` returns (requests left, unix time when full again, allowed)."""

    def __init__(self, size: int = RATE_LIMIT) -> None:
        self.size = size
        self._lock = threading.Lock()
        self._state: dict[int, tuple[float, float]] = {}

    def take(self, project: int, moment: float) -> tuple[int, int, bool]:
        """Take one request out of the project's bucket at that time (unix seconds)."""
        with self._lock:
            level, last = self._state.get(project, (float(self.size), moment))
            level = min(self.size, level + (moment - last) * self.size / 3600)
            allowed = level >= 1
            level = level - 1 if allowed else level
            self._state[project] = (level, moment)
        return int(level), int(moment + (self.size - level) * 3600 / self.size), allowed


class Access:
    """ASGI middleware: sets `request.state.project`, or answers 401, 429 itself."""

    def __init__(self, app: ASGIApp, cloud: Cloud) -> None:
        self.app, self.cloud, self.buckets = app, cloud, Buckets(cloud.settings.rate_limit or RATE_LIMIT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        extra = {"X-Correlation-Id": uuid.uuid4().hex[:16]}

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in extra.items():
                    headers[name] = value
            await send(message)

        try:
            project = self._project(scope)
            left, full, allowed = self.buckets.take(project, time.time())
            extra |= {
                "RateLimit-Limit": str(self.buckets.size),
                "RateLimit-Remaining": str(left),
                "RateLimit-Reset": str(full),
            }
            if not allowed and self.cloud.settings.rate_limit:
                raise ApiError(429, "rate_limit_exceeded", f"limit of {self.buckets.size} requests per hour reached")
        except ApiError as error:
            await send_error(send_more, error)
            return
        scope.setdefault("state", {})["project"] = project
        # A client that joins "http://host/v1/" and "/servers" means one slash; a trailing one is nothing.
        scope["path"] = re.sub(r"/{2,}", "/", scope["path"])
        await self.app(scope, receive, send_more)

    def _project(self, scope: Scope) -> int:
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        found = self.cloud.store.find_token(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise ApiError(401, "unauthorized", "unable to authenticate")
        project, read_only = found
        if read_only and scope["method"] not in ("GET", "HEAD"):
            raise ApiError(401, "token_readonly", "token is only allowed to perform GET requests")
        return project


async def send_error(send: Send, error: ApiError) -> None:
    """Answer with the error's envelope."""
    body = json.dumps(error.envelope()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
