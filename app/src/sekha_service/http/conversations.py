"""REST: conversations - create, get, list, count, change, delete."""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from ..errors import BadRequestError, NotFoundError
from ..model import PINNED_SCORE, Changes, ListFilter
from . import fields, read, wire
from .routing import Route, answer, json_answer, json_body, query_of, route
from .services import services

_PREFIX = "/api/v1/conversations"


async def create(request: Request) -> Response:
    """POST /api/v1/conversations"""
    it = services(request)
    new = read.new_conversation(await json_body(request))
    stored = await it.store.create(new, embed=it.config["features", "auto_embed"])
    it.bell.ring()
    return answer(wire.conversation(stored), 201)


async def show(request: Request) -> Response:
    """GET /api/v1/conversations/{id}"""
    found = await services(request).store.show_json(_id(request))
    if found is None:
        raise NotFoundError
    return json_answer(found)


async def page(request: Request) -> Response:
    """GET /api/v1/conversations"""
    query = query_of(request)
    number, size, offset = read.window(query)
    rows, total = await services(request).store.page_json(read.list_filter(query), size, offset)
    return json_answer(b'{"results":[%b],"total":%d,"page":%d,"page_size":%d}' % (rows, total, number, size))


async def count(request: Request) -> Response:
    """GET /api/v1/conversations/count"""
    query = query_of(request)
    where = read.list_filter(query)
    names = {"label": where.label, "folder": where.folder}
    if where.label and where.folder:
        return answer({"count": 0, "error": "Cannot specify both label and folder", **names})
    recursive = fields.boolean(query.get("recursive") or None, "recursive")
    chosen = ListFilter(label=where.label, folder=where.folder if recursive else None)
    if not recursive:
        chosen = ListFilter(label=where.label, folder_exact=where.folder)
    return answer({"count": await services(request).store.count(chosen), **names})


async def set_label(request: Request) -> Response:
    """PUT .../{id}/label"""
    conversation = _id(request)
    body = await json_body(request)
    return await _change(request, conversation, Changes(label=read.label(body), folder=read.folder(body)))


async def set_folder(request: Request) -> Response:
    """PUT .../{id}/folder"""
    conversation = _id(request)
    folder = fields.required(read.folder(await json_body(request)), "folder")
    return await _change(request, conversation, Changes(folder=folder))


async def pin(request: Request) -> Response:
    """PUT .../{id}/pin"""
    return await _change(request, _id(request), Changes(importance_score=PINNED_SCORE))


async def archive(request: Request) -> Response:
    """PUT .../{id}/archive"""
    return await _change(request, _id(request), Changes(status="archived"))


async def set_status(request: Request) -> Response:
    """PUT .../{id}/status"""
    conversation = _id(request)
    return await _change(request, conversation, read.status_change(await json_body(request)))


async def set_importance(request: Request) -> Response:
    """PUT .../{id}/importance"""
    conversation = _id(request)
    score = read.importance(await json_body(request))
    if score is None:
        raise BadRequestError("importance_score is required")
    return await _change(request, conversation, Changes(importance_score=score))


async def delete(request: Request) -> Response:
    """DELETE .../{id}"""
    conversation = _id(request)
    it = services(request)
    if not await it.store.delete(conversation):
        raise NotFoundError
    it.bell.ring()
    return answer({"success": True, "id": str(conversation)})


async def _change(request: Request, conversation: UUID, changes: Changes) -> Response:
    changed = await services(request).store.update(conversation, changes)
    if changed is None:
        raise NotFoundError
    return answer({**wire.conversation(changed), "success": True})


def _id(request: Request) -> UUID:
    return fields.uuid(request.path_params["id"], "conversation id")


ROUTES: list[Route] = [
    route(_PREFIX, GET=page, POST=create),
    route(f"{_PREFIX}/count", GET=count),
    route(f"{_PREFIX}/{{id}}", GET=show, DELETE=delete),
    route(f"{_PREFIX}/{{id}}/label", PUT=set_label),
    route(f"{_PREFIX}/{{id}}/folder", PUT=set_folder),
    route(f"{_PREFIX}/{{id}}/pin", PUT=pin),
    route(f"{_PREFIX}/{{id}}/archive", PUT=archive),
    route(f"{_PREFIX}/{{id}}/status", PUT=set_status),
    route(f"{_PREFIX}/{{id}}/importance", PUT=set_importance),
]
