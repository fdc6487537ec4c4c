"""The secrets that only one stack has: generated once, never replaced by a second run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from infra import keys

GENERATORS: dict[str, Callable[[], str]] = {
    "sekha:apiKey": keys.generate_api_key,
    "sekha:stackKey": keys.generate_stack_key,
    "sekha:signingKey": keys.generate_signing_key,
}


def missing(present: Mapping[str, str]) -> dict[str, str]:
    """New values for those secrets of a stack that `present` (config name -> value) does not hold."""
    return {name: generate() for name, generate in GENERATORS.items() if not present.get(name)}
