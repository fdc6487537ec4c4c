"""The calls of sekha-llm-bridge, answered through the service's own embedder and language model."""

import asyncio
import time
from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from .. import entities, scoring, summarizing
from ..errors import BadRequestError, ProviderAwayError, UnavailableError
from ..llm import estimate
from ..model import Json
from . import fields
from .fields import Fields
from .insights import summary_level
from .routing import Route, answer, json_body, route
from .services import services

_MOST_TOKENS = 100_000


async def embed(request: Request) -> Response:
    """POST /embed"""
    text = fields.required(fields.text(await json_body(request), "text", least=1), "text")
    embedder = services(request).embedder
    try:
        vector = await embedder.query(text)
    except ProviderAwayError as error:
        raise UnavailableError(str(error)) from None
    body = {
        "embedding": vector.tolist(),
        "model": embedder.model,
        "dimension": len(vector),
        "tokens_used": estimate(text),
    }
    return answer(body)


async def summarize(request: Request) -> Response:
    """POST /summarize: texts given in the request"""
    body = await json_body(request)
    texts = fields.texts(fields.required(body.get("messages"), "messages"), "messages") or ()
    level = summary_level(body)
    text, model = summarizing.NOTHING, summarizing.BUILTIN
    if any(each.strip() for each in texts):
        text, model = await summarizing.condense(services(request).llm, texts, level)
    used = sum(map(estimate, texts)) + estimate(text)
    return answer({"summary": text, "model": model, "level": level, "message_count": len(texts), "tokens_used": used})


async def score(request: Request) -> Response:
    """POST /score"""
    body = await json_body(request)
    text = fields.required(
        fields.text({"conversation": fields.pick(body, "conversation", "message")}, "conversation"), "conversation"
    )
    llm = services(request).llm
    value, parts, reasoning = await scoring.score(llm, text)
    model = llm.model if "llm" in parts else summarizing.BUILTIN
    return answer({"score": value, "reasoning": reasoning, "model": model})


async def extract(request: Request) -> Response:
    """POST /extract"""
    text = fields.required(fields.text(await json_body(request), "text"), "text")
    return answer({"entities": await asyncio.to_thread(entities.extract, text), "model": summarizing.BUILTIN})


async def chat(request: Request) -> Response:
    """POST /v1/chat/completions; with `stream`, server-sent events"""
    body = await json_body(request)
    messages = _messages(body)
    temperature = fields.number(body.get("temperature"), "temperature", 0, 2)
    options: dict[str, Any] = {
        "temperature": 0.7 if temperature is None else temperature,
        "max_tokens": min(_MOST_TOKENS, fields.integer(body.get("max_tokens"), "max_tokens", 1, 2000)),
        "model": fields.text(body, "model") or None,
    }
    llm = services(request).llm
    facts: Json = {
        "id": f"chatcmpl-{token_hex(12)}",
        "created": int(time.time()),
        "model": options["model"] or llm.model,
    }
    if fields.boolean(body.get("stream"), "stream"):
        pieces = llm.stream(messages, **options)
        try:
            first = await anext(pieces, "")  # so that a model that is away is still an error status
        except ProviderAwayError as error:
            raise UnavailableError(str(error)) from None
        return StreamingResponse(_events(first, pieces, facts), media_type="text/event-stream")
    try:
        given = await llm.chat(messages, **options)
    except ProviderAwayError as error:
        raise UnavailableError(str(error)) from None
    message = {"role": "assistant", "content": given.text}
    usage = {
        "prompt_tokens": given.prompt_tokens,
        "completion_tokens": given.completion_tokens,
        "total_tokens": given.prompt_tokens + given.completion_tokens,
    }
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return answer({**facts, "object": "chat.completion", "choices": choices, "usage": usage})


async def _events(first: str, rest: AsyncIterator[str], facts: Json) -> AsyncIterator[bytes]:
    def event(delta: Json, finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return b"data: " + orjson.dumps({**facts, "object": "chat.completion.chunk", "choices": choices}) + b"\n\n"

    yield event({"role": "assistant", "content": first})
    finish = "stop"
    try:
        async for piece in rest:
            yield event({"content": piece})
    except ProviderAwayError:
        finish = "error"  # the status is sent already
    yield event({}, finish)
    yield b"data: [DONE]\n\n"


def _messages(body: Fields) -> list[dict[str, str]]:
    given = fields.required(body.get("messages"), "messages")
    if not isinstance(given, list) or not given:
        raise BadRequestError("messages must be a list with at least one message")
    found = []
    for i, each in enumerate(given):
        if not isinstance(each, dict):
            raise BadRequestError(f"messages[{i}] must be an object")
        content = each.get("content")
        if isinstance(content, list):
            content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        role = fields.checked_text(fields.required(each.get("role"), f"messages[{i}].role"), f"messages[{i}].role", 1)
        text = fields.checked_text(fields.required(content, f"messages[{i}].content"), f"messages[{i}].content")
        found.append({"role": role, "content": text})
    return found


async def models(request: Request) -> Response:
    """GET /api/v1/models"""
    it = services(request)
    common = {"supports_vision": False, "supports_audio": False}
    rows: list[Json] = [
        {
            "model_id": it.embedder.model, "provider_id": it.config["embedding", "provider"], "task": "embedding",
            "context_window": 256, "dimension": it.embedder.dimension, **common,
        }
    ]  # fmt: skip
    if it.llm.name != "builtin":
        rows.append(
            {
                "model_id": it.llm.model, "provider_id": it.llm.name, "task": "chat_small", "context_window": 4096,
                "dimension": None, **common,
            }
        )  # fmt: skip
    return answer(rows)


ROUTES: list[Route] = [
    *(route(path, POST=embed) for path in ("/embed", "/embeddings", "/api/v1/embed")),
    *(route(path, POST=chat) for path in ("/v1/chat/completions", "/api/v1/chat/completions")),
    route("/summarize", POST=summarize),
    *(route(path, POST=score) for path in ("/score", "/score_importance", "/api/v1/score")),
    *(route(path, POST=extract) for path in ("/extract", "/api/v1/extract")),
    route("/api/v1/models", GET=models),
]
