"""What each policy finds in a stack's resources. Pure: infra/resource_guards.py decides, this words it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from infra import resource_guards, resource_prices
from infra.checks import LOOPBACK


@dataclass(frozen=True)
class Registered:
    """A resource as the program registers it: type, inputs as far as they are known, its protection."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool


def exposed(resource: Registered) -> Iterator[str]:
    """Nothing but 80 and 443 is public, 22 has narrow sources, nothing else is open."""
    for opening in sorted(resource_guards.openings(resource.type, resource.inputs)):
        if why := resource_guards.forbidden(opening):
            yield f"opens {opening}: {why}"


def unencrypted(resource: Registered) -> Iterator[str]:
    """What holds data is encrypted where that is a choice."""
    if resource_guards.unencrypted(resource.type, resource.inputs):
        yield f"{resource.type} holds data and is not encrypted: set {resource_guards.ENCRYPTED[resource.type]}"


def unprotected(resource: Registered, endpoint: str) -> Iterator[str]:
    """What holds data is protected, by engine and cloud; not on the local cloud, whose API is on loopback."""
    if resource.type not in resource_guards.DATA or urlsplit(endpoint).hostname in LOOPBACK:
        return
    if not resource.protect:
        yield "holds data and is not protected: give it protect=True (sekha:protect)"
    for name in resource_guards.unprotected(resource.inputs):
        yield f"holds data, and {name} leaves it unprotected at the cloud"


def too_dear(resources: Sequence[Registered], budget: int) -> Iterator[str]:
    """All resources together cost no more than sekha:monthlyBudget (EUR a month; 0: no limit)."""
    cost = resource_prices.bill((resource.type, resource.inputs) for resource in resources).euros()
    if budget and cost > budget:
        yield f"the stack's resources cost {cost} EUR a month, and sekha:monthlyBudget allows {budget}"


def without_data(resources: Sequence[Registered]) -> Iterator[str]:
    """A machine has a volume, so that the data outlives it."""
    kinds = {resource.type for resource in resources}
    volumes = {kind for kind, what in resource_guards.DATA.items() if what in ("volume", "database")}
    if kinds & set(resource_guards.MACHINES) and not kinds & volumes:
        yield "there are machines and no volume or database: the data would be lost with its machine"


def findings(resources: Sequence[Registered], endpoint: str) -> Iterator[str]:
    """What single resources must not be, for who has all of a stack's; `endpoint` is the Hetzner API's."""
    for resource in resources:
        for found in (*exposed(resource), *unencrypted(resource), *unprotected(resource, endpoint)):
            yield f"{resource.type.rsplit(':', 1)[-1]} {resource.name}: {found}"
