"""A valid config to start from, and what follows from it."""

from __future__ import annotations

import json
from functools import cache

from infra import catalog, keys
from infra.catalog import Catalog
from infra.settings import Settings, parse

TOKEN = "t" * 64
HETZNER: Catalog = catalog.load("hetzner")


@cache
def signing_key() -> str:
    return keys.generate_signing_key()


def config(**changes: object) -> dict[str, str]:
    """The raw config of a valid stack as Pulumi passes it; `changes` by key without namespace, None removes."""
    values: dict[str, object] = {
        "cloud": "hetzner",
        "conversations": 20000,
        "regions": ["fsn1", "nbg1"],
        "apiKey": "sk-sekha-" + "a" * 32,
        "stackKey": "5" * 64,
        "signingKey": signing_key(),
        "bucket": {
            "endpoint": "https://fsn1.your-objectstorage.com",
            "region": "fsn1",
            "name": "sekha-test",
            "addressing": "path",
        },
        "bucketAccessKey": "operator-access",
        "bucketSecretKey": "operator-secret",
        "nodeAccessKey": "node-access",
        "nodeSecretKey": "node-secret",
        **changes,
    }
    return {f"sekha:{key}": _text(value) for key, value in values.items() if value is not None} | {
        "hcloud:token": TOKEN
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def settings(**changes: object) -> Settings:
    """Validated settings of the sample config with `changes`."""
    return parse(config(**changes), "test", {})
