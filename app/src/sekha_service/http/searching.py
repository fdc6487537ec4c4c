"""REST: finding messages, by meaning and by words."""

import math

from starlette.requests import Request
from starlette.responses import Response

from . import fields, read, wire
from .routing import Route, answer, json_body, route
from .services import services

_MAX_HITS = 1000
_EMBEDDED_PER_SECOND = 120  # short messages, one thread, measured on a 2-core machine


async def query(request: Request) -> Response:
    """POST /api/v1/query"""
    body = await json_body(request)
    text = fields.required(fields.text(body, "query"), "query")
    limit = min(fields.integer(body.get("limit"), "limit", 1, 10), _MAX_HITS)
    offset = fields.integer(body.get("offset"), "offset", 0, 0)
    where = read.message_filter(body.get("filters"))
    hits = await services(request).search.query(text, where, limit, offset)
    return answer(
        {
            "results": [wire.hit(hit) for hit in hits],
            "total": len(hits),
            "page": offset // limit + 1,
            "page_size": limit,
            "query": text,
        }
    )


async def full_text(request: Request) -> Response:
    """POST /api/v1/search/fts"""
    body = await json_body(request)
    text = fields.required(fields.text(body, "query"), "query")
    limit = min(fields.integer(body.get("limit"), "limit", 1, 10), _MAX_HITS)
    hits = await services(request).store.full_text(text, limit)
    return answer({"results": [wire.full_text_hit(hit) for hit in hits], "total": len(hits), "query": text})


async def rebuild(request: Request) -> Response:
    """POST /api/v1/rebuild-embeddings"""
    fields.boolean((await json_body(request, optional=True)).get("force"), "force")
    it = services(request)
    waiting = await it.store.rebuild()
    it.bell.ring()
    body = {
        "success": True,
        "status": "started",
        "message": f"{waiting} messages get new vectors; search keeps working meanwhile",
        "estimated_completion_seconds": math.ceil(waiting / _EMBEDDED_PER_SECOND),
    }
    return answer(body, 202)


ROUTES: list[Route] = [
    route("/api/v1/query", POST=query),
    route("/api/v1/search/fts", POST=full_text),
    route("/api/v1/rebuild-embeddings", POST=rebuild),
]
