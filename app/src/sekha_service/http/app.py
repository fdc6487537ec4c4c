"""The ASGI application: routes in the middle, Guard and CORS around them, Edge outermost."""

from types import SimpleNamespace

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from ..ratelimit import RateLimiter
from . import assembling, bridge, conversations, health, insights, mcp, metrics, openapi, searching, upkeep
from .edge import Edge, Guard
from .routing import Router, route
from .services import Services

_EXPOSED = ["X-Request-ID", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]


def build_app(parts: Services, limiter: RateLimiter | None) -> ASGIApp:
    """The application over `parts`; `limiter` None = unlimited."""
    config = parts.config
    inner = Router(
        [
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
        SimpleNamespace(services=parts, health=health.Health(parts), totals=metrics.TotalsCache()),
    )
    app: ASGIApp = Guard(inner, parts.keys, limiter, int(config["security", "max_request_size_mb"] * 2**20))
    origins = list(config["security", "cors_allowed_origins"])
    if origins:
        app = CORSMiddleware(
            app, allow_origins=origins, allow_methods=["*"], allow_headers=["*"], expose_headers=_EXPOSED
        )
    return Edge(app, config["server", "trusted_proxies"])
