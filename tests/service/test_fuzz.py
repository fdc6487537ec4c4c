"""Requests generated from the OpenAPI document: none ends in a 5xx, every answer is one the document tells of."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sekha_service.http import assembling, bridge, conversations, insights, mcp, openapi, searching, upkeep
from sekha_service.http.openapi import document
from sekha_service.http.openapi_bridge import NEEDS_A_MODEL

from tests.service.rig import API_KEY, Service

_EXAMPLES = 12
_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_API = document()
_OPERATIONS = [
    (method.upper(), path, mode)
    for path, methods in _API["paths"].items()
    for method, operation in methods.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or operation["parameters"] or "requestBody" in operation
]


@pytest.mark.parametrize(("method", "path", "mode"), _OPERATIONS)
def test_generated_requests(service: Service, method: str, path: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_dict(_API)[path][method]
    cases = operation.as_strategy(generation_mode=mode)

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def check(case: Any) -> None:
        response = case.call(base_url=service.url, headers={"Authorization": f"Bearer {API_KEY}"})
        checks = [it for it in _CHECKS if it is not not_a_server_error or path not in NEEDS_A_MODEL]
        case.validate_response(response, checks=checks)

    check()


def test_every_route_is_documented(service: Service) -> None:
    modules = (assembling, bridge, conversations, insights, mcp, openapi, searching, upkeep)
    missing = []
    for path in [route.path for module in modules for route in module.ROUTES]:
        allowed = service.client.request("PATCH", path).headers["Allow"].split(", ")
        known = _API["paths"].get(path, {})
        missing += [f"{method} {path}" for method in allowed if method != "HEAD" and method.lower() not in known]
    assert missing == ["POST /mcp/tools/{name}", "GET /openapi.json"], "the former is documented tool by tool"


def test_the_served_document_is_this_one(service: Service) -> None:
    assert service.client.get("/openapi.json").json() == _API
