"""Write app/openapi.json and docs/api.md from the service's OpenAPI document (`python -m tools.api_docs`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sekha_service.http.openapi import document, encoded

REPO = Path(__file__).resolve().parents[1]
_HEAD = """# The API

Made by `tools/run --dev python -m tools.api_docs` from [app/openapi.json](../app/openapi.json), which a running service
serves at `/openapi.json`. Every request but `/health` and `/metrics` carries `Authorization: Bearer KEY` (or
`X-API-Key: KEY`). Errors are `{"error": text, "code": status}`; below `/mcp/` they carry `success` and `data` too.
"""


def page(api: dict[str, Any]) -> str:
    """The reference page in Markdown."""
    parts = [_HEAD]
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            parts.append(f"## {method.upper()} {path}\n\n{operation['summary'].rstrip('.')}.\n")
            rows = [
                (it["name"], f"in the {it['in']}", it["schema"], it.get("required", False))
                for it in operation["parameters"]
            ]
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            required = schema.get("required", [])
            rows += [(name, "body", it, name in required) for name, it in schema.get("properties", {}).items()]
            if rows:
                parts.append("| Field | Where | Type | Required |\n|---|---|---|---|")
                parts[-1] += "".join(
                    f"\n| `{name}` | {where} | {kind(it)} | {'yes' if needed else ''} |"
                    for name, where, it, needed in rows
                )
                parts[-1] += "\n"
            answers = [f"{code} {_lower(it['description'])}" for code, it in sorted(operation["responses"].items())]
            parts.append(f"Answers: {', '.join(answers)}.\n")
    return "\n".join(parts)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def kind(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    name = schema.get("type", "any")
    text = " or ".join(name) if isinstance(name, list) else str(name)
    if text == "array":
        text = f"list of {kind(schema.get('items', {}))}"
    text = schema.get("format", text) if text == "string" else text
    bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    return ", ".join([text, *bounds])


_BOUNDS = {"minimum": "at least", "maximum": "at most", "minLength": "characters at least", "maxLength": "at most"}

if __name__ == "__main__":
    (REPO / "app" / "openapi.json").write_bytes(encoded())
    (REPO / "docs" / "api.md").write_text(page(document()), encoding="utf-8")
