"""The ASGI application: routes in the middle, Guard and CORS around them, Edge outermost."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from ..errors import ApiError, error_body
from ..ratelimit import RateLimiter
from . import assembling, bridge, conversations, health, insights, mcp, metrics, openapi, searching, upkeep
from .edge import Edge, Guard
from .routing import answer, route
from .services import Services

_EXPOSED = ["X-Request-ID", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]


def build_app(parts: Services, limiter: RateLimiter | None) -> ASGIApp:
    """The application over `parts`; `limiter` None = unlimited."""
    config = parts.config
    inner = Starlette(
        routes=[
            route("/health", GET=health.show),
            route("/metrics", GET=metrics.show),
            *conversations.ROUTES,
            *searching.ROUTES,
            *insights.ROUTES,
            *upkeep.ROUTES,
            *assembling.ROUTES,
            *mcp.ROUTES,
            *openapi.ROUTES,
            *bridge.ROUTES,
        ],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error},
    )
    inner.router.redirect_slashes = False
    inner.state.services = parts
    inner.state.health = health.Health(parts)
    inner.state.totals = metrics.TotalsCache()
    app: ASGIApp = Guard(inner, parts.keys, limiter, int(config["security", "max_request_size_mb"] * 2**20))
    origins = list(config["security", "cors_allowed_origins"])
    if origins:
        app = CORSMiddleware(
            app, allow_origins=origins, allow_methods=["*"], allow_headers=["*"], expose_headers=_EXPOSED
        )
    return Edge(app, config["server", "trusted_proxies"])


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for it
    return answer(error_body(request.url.path, error.status, error.message), error.status, error.headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return answer(error_body(request.url.path, error.status_code, error.detail), error.status_code)
