"""Routes: one function per path and method; JSON in and out; the route's template is noted for the metrics."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import ApiError, BadRequestError
from ..model import Json

Handler = Callable[[Request], Awaitable[Response]]
_BODY_SECONDS = 30


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


async def json_body(request: Request, *, optional: bool = False) -> Json:
    """The request's JSON object, whatever its Content-Type says. `optional`: an empty body is an empty object."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            raw = await request.body()
    except TimeoutError:
        raise BadRequestError(f"the request body did not arrive within {_BODY_SECONDS} s") from None
    except ClientDisconnect:
        raise BadRequestError("the connection closed before the body was complete") from None
    if not raw.strip() and optional:
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object")
    return body


def route(path: str, **methods: Handler) -> Route:
    """`route("/x/{id}", GET=show, PUT=change)`. HEAD comes with GET; other methods are 405."""

    async def dispatch(request: Request) -> Response:
        request.scope["sekha_template"] = path
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allowed = ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])
            raise ApiError(405, "Method not allowed", {"Allow": allowed})
        return await handler(request)

    made = Route(path, dispatch, methods=list(methods))
    made.methods = None  # every method reaches `dispatch`, which answers 405 itself
    return made


def template_of(scope: Any) -> str:
    """The template of the route that answered, for metrics; `unmatched` when none did."""
    return str(scope.get("sekha_template", "unmatched"))
