"""The one place for names and labels. Names are deterministic: a rebuilt stack gets the same ones."""

from __future__ import annotations

PREFIX = "sekha"
STACK_LABEL = "sekha-stack"
URN_LABEL = "sekha-urn"


def resource(stack: str, part: str) -> str:
    """The name of a cloud object of `stack`, e.g. sekha-prod-data; a valid host name of at most 63 characters."""
    return f"{PREFIX}-{stack}-{part}"


def node(stack: str, number: int) -> str:
    """The name of machine `number` (from 1): its host name, its server name and its key in the bucket."""
    return resource(stack, str(number))


def parameters(stack: str, name: str) -> str:
    """Where machine `name` finds its secrets on clouds that keep them (AWS: Parameter Store); ends with a slash."""
    return f"/{PREFIX}/{stack}/{name}/"


def record(domain: str, zone: str) -> str:
    """The name of `domain`'s record in `zone`: "@" for the zone itself."""
    return domain.removesuffix(zone).rstrip(".") or "@"


def tag(stack: str) -> str:
    """The tag on everything of `stack` at a cloud that has tags without values (DigitalOcean)."""
    return f"{STACK_LABEL}:{stack}"


def labels(stack: str, kind: str, name: str) -> dict[str, str]:
    """Labels of an object: its stack, and its URN as far as a label holds one (kind and logical name)."""
    return {STACK_LABEL: stack, URN_LABEL: f"{kind}.{name}"[:63].rstrip("-._")}


def selector(stack: str) -> str:
    """The label selector that finds everything of `stack`."""
    return f"{STACK_LABEL}={stack}"
