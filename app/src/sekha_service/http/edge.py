"""What happens around every request: id, client address, key, rate limit, size of the body, log line, metrics."""

import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import ApiError, error_body
from ..keys import KeyRing, presented_key
from ..logs import request_line
from ..ratelimit import RateLimiter, Verdict
from . import metrics
from .routing import template_of

PUBLIC = frozenset(("/health", "/metrics"))
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("sekha.http")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Edge:
    """The outermost layer: request id, client address, log line, metrics, and a JSON answer whatever happens."""

    def __init__(self, app: ASGIApp, trusted_proxies: Sequence[str]) -> None:
        self._app = app
        self._trusted: tuple[Network, ...] = tuple(ipaddress.ip_network(text) for text in trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        start = time.perf_counter()
        given = header(scope, b"x-request-id")
        request_id = given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope["sekha_ip"] = ip = client_ip(scope, header(scope, b"x-forwarded-for"), self._trusted)
        status = 0

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_noting_status)
        except Exception:
            _log.exception("request %s failed", request_id)
            if not status:
                await send_error(scope, send_noting_status, ApiError(500, "Internal server error"))
        finally:
            seconds = time.perf_counter() - start
            status = status or 499  # nobody was left to answer
            metrics.observe(scope["method"], template_of(scope), status, seconds)
            request_line(request_id, scope["method"], scope["path"], status, seconds, ip)


class Guard:
    """Lets a request through when its key is known, its bucket has tokens and its body isn't too large."""

    def __init__(self, app: ASGIApp, keys: KeyRing, limiter: RateLimiter | None, max_body_bytes: int) -> None:
        self._app, self._keys, self._limiter, self._max_body_bytes = app, keys, limiter, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PUBLIC:
            await self._app(scope, receive, send)
            return
        key = presented_key(header(scope, b"authorization"), header(scope, b"x-api-key"))
        identity = self._keys.identify(key) if key else None
        verdict = self._limiter.take(identity or bucket_of(scope["sekha_ip"])) if self._limiter else None
        limited = send_with_limits(send, verdict) if verdict else send
        if verdict and not verdict.allowed:
            retry = {"Retry-After": str(verdict.retry_after)}
            await send_error(scope, limited, ApiError(429, "Rate limit exceeded", retry))
            return
        if identity is None:
            refusal = ApiError(401, "Invalid or missing API key", {"WWW-Authenticate": "Bearer"})
            await send_error(scope, limited, refusal)
            return
        length = header(scope, b"content-length") or ""
        if length.isdigit() and int(length) > self._max_body_bytes:
            await send_error(scope, limited, self._too_large())
            return
        seen = 0

        async def receive_counting() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._max_body_bytes:
                    raise self._too_large()
            return message

        await self._app(scope, receive_counting, limited)

    def _too_large(self) -> ApiError:
        return ApiError(413, f"the body is larger than {self._max_body_bytes} bytes")


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that (lower case) name."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def send_with_limits(send: Send, verdict: Verdict) -> Send:
    """`send`, adding the rate limit's headers."""
    extra = [
        (b"x-ratelimit-limit", str(verdict.limit).encode()),
        (b"x-ratelimit-remaining", str(verdict.remaining).encode()),
        (b"x-ratelimit-reset", str(verdict.reset).encode()),
    ]

    async def limited(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return limited


async def send_error(scope: Scope, send: Send, error: ApiError) -> None:
    """Answer with the contract's error body."""
    body = orjson.dumps(error_body(scope["path"], error.status, error.message))
    headers = {"content-type": "application/json", "content-length": str(len(body)), **error.headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def client_ip(scope: Any, forwarded: str | None, trusted: tuple[Network, ...]) -> str:
    """The peer's address; behind a trusted proxy, the right-most forwarded address that is no trusted proxy itself."""
    peer = scope["client"][0] if scope.get("client") else "127.0.0.1"
    if not forwarded or not _within(peer, trusted):
        return str(peer)
    for entry in reversed(forwarded.split(",")):
        candidate = _address(entry)
        if candidate is None:
            break
        if not any(candidate in network for network in trusted):
            return str(candidate)
    return str(peer)


def bucket_of(ip: str) -> bytes:
    """What an address is limited by: itself, or its /64 for IPv6 (one customer has a whole /64)."""
    address = _address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        return address.packed[:8]
    return ip.encode()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None


@lru_cache(1024)  # the peer of most requests is the one reverse proxy
def _within(text: str, networks: tuple[Network, ...]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in networks)
