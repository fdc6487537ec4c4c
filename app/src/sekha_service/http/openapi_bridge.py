"""The OpenAPI document's operations that stand in for sekha-llm-bridge, and the Python SDK's own MCP paths."""

from ..model import Json
from .mcp_schema import TOOLS
from .openapi_parts import FILTERS, TEXTS, WHOLE, nullable, record

_TEXT: Json = {"type": "string"}
_WORDS: Json = {"type": "string", "minLength": 1}
_OBJECT: Json = {"type": "object"}
_NUMBERS: Json = {"type": "array", "items": {"type": "number"}}
_EMBED = record(["text"], text=_WORDS, model=nullable(_TEXT))
_EMBEDDED = record(
    ["embedding", "model", "dimension", "tokens_used"],
    embedding=_NUMBERS, model=_TEXT, dimension=WHOLE, tokens_used=WHOLE,
)  # fmt: skip
_CHAT = record(
    ["messages"],
    messages={"type": "array", "minItems": 1, "items": record(["role", "content"], role=_WORDS, content=_TEXT)},
    model=nullable(_TEXT),
    temperature=nullable({"type": "number", "minimum": 0, "maximum": 2}),
    max_tokens=nullable({"type": "integer", "minimum": 1}),
    stream=nullable({"type": "boolean"}),
)
_CHATTED = record(
    ["id", "object", "created", "model", "choices", "usage"],
    id=_TEXT, object=_TEXT, created=WHOLE, model=_TEXT, choices={"type": "array", "items": _OBJECT}, usage=_OBJECT,
)  # fmt: skip
_SCORED = record(
    ["score", "reasoning", "model"],
    score={"type": "number", "minimum": 1, "maximum": 10}, reasoning=_TEXT, model=_TEXT,
)  # fmt: skip
_FLAT = record(["success", "data", "error"], success={"type": "boolean"}, data=_OBJECT, error=nullable(_TEXT))
_SEARCH: Json = {
    **next(tool for tool in TOOLS if tool["name"] == "memory_search")["inputSchema"],
    "required": ["query"],
}
_STATS = record(
    [],
    filters=nullable(
        record(
            [],
            **{name: FILTERS["properties"][name] for name in ("label", "labels", "folder", "folders")},
            status=nullable({"enum": ["active", "archived"]}),
            start_date=FILTERS["properties"]["date_from"],
            end_date=FILTERS["properties"]["date_to"],
        )
    ),
)

# method, path, summary, query parameters, request body, status of success, its body
OPERATIONS: list[tuple[str, str, str, Json, Json | None, int, Json]] = [
    ("post", "/mcp/tools/memory_query", "memory_search under its name in older clients", {}, _SEARCH, 200, _FLAT),
    ("post", "/mcp/memory/search", "memory_search as the Python SDK calls it", {}, _SEARCH, 200, _FLAT),
    ("post", "/mcp/memory/stats", "Figures by filters, as the Python SDK asks for them", {}, _STATS, 200, _FLAT),
    *(("post", path, "A text as a vector", {}, _EMBED, 200, _EMBEDDED)
      for path in ("/embed", "/embeddings", "/api/v1/embed")),
    *(("post", path, "Chat with the configured language model; with `stream`, server-sent events", {}, _CHAT, 200,
       _CHATTED) for path in ("/v1/chat/completions", "/api/v1/chat/completions")),
    ("post", "/summarize", "Summarise texts given in the request", {}, record(
        ["messages"], messages=TEXTS, level=nullable({"enum": ["daily", "weekly", "monthly"]}), model=nullable(_TEXT),
    ), 200, record(["summary", "model", "level", "message_count", "tokens_used"],
                   summary=_TEXT, model=_TEXT, level=_TEXT, message_count=WHOLE, tokens_used=WHOLE)),
    *(("post", path, "Score a text's importance", {}, record(["conversation"], conversation=_TEXT), 200, _SCORED)
      for path in ("/score", "/score_importance", "/api/v1/score")),
    *(("post", path, "People, organisations, technical terms and concepts in a text", {},
       record(["text"], text=_TEXT, model=nullable(_TEXT)), 200,
       record(["entities", "model"], entities=_OBJECT, model=_TEXT)) for path in ("/extract", "/api/v1/extract")),
    ("get", "/api/v1/models", "The models in use", {}, None, 200, {"type": "array", "items": _OBJECT}),
]  # fmt: skip
NEEDS_A_MODEL = ("/v1/chat/completions", "/api/v1/chat/completions")
"""Paths that answer 503 while no language model is configured."""
