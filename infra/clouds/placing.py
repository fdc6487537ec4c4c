"""Choosing the place once, from what a cloud's API told: where the stack is, else the first that can be ordered."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from infra.catalog import Catalog
from infra.clouds import CloudError
from infra.plan import Choice, Plan


def choose(
    plan: Plan, server: Choice | None, volume_at: str | None, offered: Mapping[Choice, Decimal | None]
) -> tuple[Choice, str]:
    """The place of `plan`, and why. `server`: where and what the stack's server is; `volume_at`: where its volume is.

    An existing server keeps its type while it fits the plan, orderable or not. Raises CloudError.
    """
    choices = plan.choices
    if server:
        if server.server_type in {choice.server_type for choice in choices}:
            return server, "where its server is"
        choices = _at(server.location, plan)
        why = f"in place of {server.server_type}, which does not fit the plan any more"
    elif volume_at:
        choices, why = _at(volume_at, plan), "where its volume is"
    else:
        why = "first orderable of the configured list"
    skipped: list[str] = []
    for choice in choices:
        if choice in offered:
            return choice, why + (f"; not orderable: {', '.join(skipped)}" if skipped else "")
        skipped.append(str(choice))
    raise CloudError(
        f"none of these can be ordered now: {', '.join(skipped)}; "
        "add to sekha:regions or sekha:serverTypes, or try later"
    )


def _at(location: str, plan: Plan) -> tuple[Choice, ...]:
    return tuple(Choice(location, name) for name in dict.fromkeys(choice.server_type for choice in plan.choices))


def price_notes(choice: Choice, offered: Mapping[Choice, Decimal | None], catalog: Catalog) -> tuple[str, ...]:
    """What a preview says where the cloud's price differs from the catalog's by a cent or more."""
    price = offered.get(choice)
    known = catalog.server_types[choice.server_type].monthly.get(choice.location)
    if price is None or known is None or abs(price - known) < Decimal("0.01"):
        return ()
    note = f"{choice} costs {price:.2f} {catalog.currency} a month today, not {known} as on {catalog.as_of}"
    return (f"{note}: infra/catalog.yaml is out of date",)
