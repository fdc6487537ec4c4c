"""The HTTP application: authentication, JSON, routing, and the envelope around every handler.

A handler runs on a worker thread inside one store transaction: checks and changes happen at once, and an answer is
sent only when the state it tells of is durable.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as StarletteRoute

from localcloud.api import (
    actions,
    catalogue,
    certificates,
    firewalls,
    floating_ips,
    images,
    lb_settings,
    load_balancers,
    networks,
    placement_groups,
    primary_ips,
    server_actions,
    server_extras,
    server_power,
    servers,
    ssh_keys,
    storage_boxes,
    storage_parts,
    volumes,
    zones,
)
from localcloud.api.access import Access
from localcloud.api.call import Call
from localcloud.api.errors import ApiError, taken
from localcloud.api.faulty import Faulty
from localcloud.api.listing import links
from localcloud.api.routes import Handler, Route
from localcloud.worker import Cloud, FailedAtOnce

LOG = logging.getLogger(__name__)
MODULES = (
    actions, catalogue, certificates, firewalls, floating_ips, images, lb_settings, load_balancers, networks,
    placement_groups, primary_ips, server_actions, server_extras, server_power, servers, ssh_keys, storage_boxes,
    storage_parts, volumes, zones,
)  # fmt: skip


def create_app(cloud: Cloud) -> Starlette:
    """The API of the cloud as an ASGI application. The caller starts and stops `cloud`."""
    table: dict[str, dict[str, Handler]] = {}
    for method, path, handler in [route for module in MODULES for route in _routes(module)]:
        table.setdefault(path, {})[method] = handler
    routes = []
    for path, by_method in table.items():
        pattern = "/v1" + re.sub(r"{(\w+)}", r"{\1:int}", path)
        # All methods go to one endpoint, so that a wrong one is told by our own 405.
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        routes.append(StarletteRoute(pattern, _endpoint(cloud, by_method), methods=methods))
    handlers: dict[Any, Any] = {HTTPException: _http_exception}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    app.add_middleware(Faulty, cloud=cloud)  # inside: only who may ask meets faults
    app.add_middleware(Access, cloud=cloud)
    return app


def _routes(module: Any) -> list[Route]:
    routes: list[Route] = module.ROUTES
    return routes


def _http_exception(_: Request, exception: Exception) -> Response:
    if isinstance(exception, HTTPException) and exception.status_code == 405:
        return JSONResponse(ApiError(405, "method_not_allowed", "method not allowed").envelope(), 405)
    return JSONResponse(ApiError(404, "not_found", "the requested resource was not found").envelope(), 404)


def _body(raw: bytes) -> dict[str, Any]:
    """The JSON object of a request; nothing at all is an empty one, nulls are left out."""
    if not raw.strip():
        return {}
    try:
        data = json.loads(raw)
    except ValueError:
        raise ApiError(400, "json_error", "the request body is not valid JSON") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ApiError(400, "json_error", "the request body must be a JSON object")
    return {key: value for key, value in data.items() if value is not None}


def _endpoint(cloud: Cloud, by_method: dict[str, Handler]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        try:
            if method not in by_method:
                raise ApiError(405, "method_not_allowed", f"method {method} is not allowed here")
            body = _body(await request.body()) if method in ("POST", "PUT") else {}
            query: dict[str, list[str]] = {}
            for name, value in request.query_params.multi_items():
                query.setdefault(name, []).append(value)
            url = str(request.url.replace(query=""))
            call = Call(cloud, request.state.project, dict(request.path_params), query, body, url, method == "GET")
            return await run_in_threadpool(_answer, call, by_method[method])
        except ApiError as error:
            return JSONResponse(error.envelope(), error.status)

    return endpoint


def _answer(call: Call, handler: Handler) -> Response:
    try:
        store = call.cloud.store
        with store.reading() if call.reading else store.transaction():
            status, payload = handler(call)
    except ApiError as error:
        return JSONResponse(error.envelope(), error.status)
    except FailedAtOnce as failed:
        return JSONResponse({"action": failed.record(call.cloud.store)}, 201)
    except sqlite3.IntegrityError:
        return JSONResponse(taken().envelope(), taken().status)
    except Exception:
        LOG.exception("%s", handler)
        return JSONResponse(ApiError(500, "server_error", "internal error of the local cloud").envelope(), 500)
    if payload is None:
        return Response(status_code=status)
    headers = {}
    if "meta" in payload and (link := links(call, payload["meta"])):
        headers["Link"] = link
    return JSONResponse(payload, status, headers)
