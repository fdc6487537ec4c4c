"""Taking secrets out of what is shown: those that the preview marks, and whatever looks like one. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.settings import SECRET_KEYS

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key by which the engine marks special values in JSON (a constant of its wire format); SECRET marks a secret."""
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker, not a secret
MASK = "[secret]"
SHORTEST = 6  # shorter secrets are found by their mark alone: masking "1" everywhere would leave nothing to read

_PATTERNS = re.compile(
    r"sk-sekha-[A-Za-z0-9_-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,}"
    r"|\bA(?:KIA|SIA)[A-Z0-9]{16}\b"
    r"|\bdop_v1_[0-9a-f]{64}\b"
    r"|\b[A-Za-z0-9]{64}\b"
    r"|(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{16,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)


def is_secret(value: Any) -> bool:
    """Whether a value of the preview is marked as secret, or masked already."""
    return value == MASK or (isinstance(value, Mapping) and value.get(SIGNATURE) == SECRET)


def secrets_in(raw: Any) -> set[str]:
    """Every secret text that a preview's JSON holds in clear, as it stands there and as text within JSON."""
    found = set(_marked(raw))
    config = raw.get("config") if isinstance(raw, Mapping) else None
    if isinstance(config, Mapping):
        names = (*(f"sekha:{name}" for name in SECRET_KEYS), "hcloud:token", "digitalocean:token", "aws:secretKey")
        found |= {config[name] for name in names if isinstance(config.get(name), str)}
    found = {secret for secret in found if len(secret) >= SHORTEST and secret != MASK}
    return found | {json.dumps(secret)[1:-1] for secret in found}


def _marked(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET:
            yield from _texts({key: part for key, part in value.items() if key != SIGNATURE})
        else:
            for part in value.values():
                yield from _marked(part)
    elif isinstance(value, list):
        for part in value:
            yield from _marked(part)


def _texts(value: Any) -> Iterator[str]:
    """All texts within a secret value; one that is JSON also taken apart."""
    if isinstance(value, str):
        yield value
        try:
            inner = json.loads(value)
        except ValueError:
            return
        if inner != value:
            yield from _texts(inner)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def redact(text: str, secrets: set[str]) -> str:
    """`text` without any of `secrets`, and without what looks like a key, a token or a password in a URL."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _PATTERNS.sub(MASK, text)
