"""The OpenAPI document, its copy in the repository, and the page made from it."""

from __future__ import annotations

from jsonschema import Draft202012Validator
from sekha_service.http import assembling, conversations, insights, searching, upkeep
from sekha_service.http.openapi import document, encoded

from tools.api_docs import REPO, page

ASK = "run: tools/run --dev python -m tools.api_docs"


def test_checked_in_copies_are_current() -> None:
    assert (REPO / "app" / "openapi.json").read_bytes() == encoded(), ASK
    assert (REPO / "docs" / "api.md").read_text(encoding="utf-8") == page(document()), ASK


def test_schemas_are_schemas() -> None:
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            for it in [*operation["responses"].values(), operation.get("requestBody", {})]:
                schema = it.get("content", {}).get("application/json", {}).get("schema", {})
                Draft202012Validator.check_schema(schema)
            assert "{id}" not in path or any(p["in"] == "path" for p in operation["parameters"]), path


def test_every_rest_route_is_described() -> None:
    modules = (assembling, conversations, insights, searching, upkeep)
    routes = {route.path for module in modules for route in module.ROUTES}
    assert routes <= set(document()["paths"])
