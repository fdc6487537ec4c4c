"""REST: assembling a context."""

from starlette.requests import Request
from starlette.responses import Response

from .. import context
from ..errors import BadRequestError
from ..model import Json
from . import fields, wire
from .routing import Route, answer, json_body, route
from .services import services

# These clients read `.messages`; all others expect the bare array.
_OBJECT_CLIENTS = ("Sekha-Python-SDK", "Sekha-JS-SDK")


async def assemble(request: Request) -> Response:
    """POST /api/v1/context/assemble"""
    body = await json_body(request)
    it = services(request)
    wanted = context.Wanted(
        query=fields.required(fields.text(body, "query"), "query"),
        budget=fields.integer(body.get("context_budget"), "context_budget", 0, it.config["context", "default_budget"]),
        labels=frozenset(fields.texts(body.get("preferred_labels"), "preferred_labels") or ()),
        excluded=fields.texts(body.get("excluded_folders"), "excluded_folders") or (),
    )
    shape = _shape(request)
    chosen = await context.assemble(it.store, it.recall, wanted)
    messages = [_cited(each) for each in chosen]
    if shape == "array":
        return answer(messages)
    tokens = sum(each.tokens for each in chosen)
    conversations = list(dict.fromkeys(str(each.hit.message.conversation_id) for each in chosen))
    return answer(
        {
            "messages": messages,
            "token_count": tokens,
            "estimated_tokens": tokens,
            "conversation_ids": conversations,
            "conversations_used": len(conversations),
            "labels": list(dict.fromkeys(each.hit.label for each in chosen)),
            "query": wanted.query,
            "context_budget": wanted.budget,
        }
    )


def _shape(request: Request) -> str:
    shape = request.query_params.get("shape")
    if shape:
        if shape not in ("array", "object"):
            raise BadRequestError("shape must be one of array, object")
        return shape
    return "object" if request.headers.get("user-agent", "").startswith(_OBJECT_CLIENTS) else "array"


def _cited(it: context.Chosen) -> Json:
    """The message, its metadata telling where it comes from (in this copy only)."""
    message = wire.message(it.hit.message)
    source = {"label": it.hit.label, "folder": it.hit.folder}
    message["metadata"] = {
        **(it.hit.message.metadata or {}),
        "citation": {**source, "timestamp": message["timestamp"]},
        **source,
        "relevance_score": it.similarity,
    }
    return message


ROUTES: list[Route] = [route("/api/v1/context/assemble", POST=assemble)]
