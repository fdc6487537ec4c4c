"""What can go wrong in a request, and the bodies that say so."""

from typing import Any


class ApiError(Exception):
    """An answer other than success: an HTTP status and a sentence for the client."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


class BadRequestError(ApiError):
    """400: the client's input is wrong; the message names the field."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


class NotFoundError(ApiError):
    """404: no such conversation or route."""

    def __init__(self, message: str = "Conversation not found") -> None:
        super().__init__(404, message)


class UnavailableError(ApiError):
    """503: a dependency is away for now; the client may try again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int = 2) -> None:
        super().__init__(503, message, {"Retry-After": str(retry_after)})


class ProviderAwayError(Exception):
    """The vector index, the embedder or a language model doesn't answer: callers fall back to a plainer way."""


def error_body(path: str, status: int, message: str) -> dict[str, Any]:
    """The JSON body of an error: REST's form, or MCP's envelope below /mcp/."""
    if path.startswith("/mcp/") or path == "/mcp":
        return {"success": False, "data": None, "error": message, "code": status}
    return {"error": message, "code": status}
