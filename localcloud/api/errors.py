"""Errors of the API: one exception that becomes the error envelope."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """Answered as `{"error": {"code", "message", "details"}}` with the HTTP status."""

    def __init__(self, status: int, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details

    def envelope(self) -> dict[str, Any]:
        """The JSON body."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


def invalid(field: str, message: str) -> ApiError:
    """422 invalid_input; always with details, without them the Terraform provider panics."""
    details = {"fields": [{"name": field, "messages": [message]}]}
    return ApiError(422, "invalid_input", f"invalid input in field '{field}': {message}", details)


def not_found(kind: str, object_id: object) -> ApiError:
    """404 for an unknown object, in the path or named in a body."""
    return ApiError(404, "not_found", f"{kind} with ID '{object_id}' not found")


def taken(message: str = "name is already used", field: str = "name") -> ApiError:
    """409 uniqueness_error."""
    return ApiError(409, "uniqueness_error", message, {"fields": [{"name": field}]})


def refused(code: str, message: str, status: int = 422) -> ApiError:
    """An operation that the state of things does not allow."""
    return ApiError(status, code, message)


def limit(kind: str) -> ApiError:
    """403 resource_limit_exceeded."""
    return ApiError(403, "resource_limit_exceeded", f"{kind} limit exceeded", {"limits": [{"name": f"{kind}_limit"}]})


def protected(kind: str) -> ApiError:
    """423: delete or rebuild protection is on."""
    return ApiError(423, "protected", f"{kind} is protected")


def locked(kind: str) -> ApiError:
    """423: something is going on with the object."""
    return ApiError(423, "locked", f"cannot perform operation because {kind} is locked")
