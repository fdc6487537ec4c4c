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
from sekha_service.http.openapi import document

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
        case.validate_response(response, checks=_CHECKS)

    check()


def test_the_served_document_is_this_one(service: Service) -> None:
    assert service.client.get("/openapi.json").json() == _API
