"""What our own programs register on each cloud passes the policies, and is priced as the program itself prices it."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

import pytest

from infra import catalog, cost, plan, resource_guards, resource_prices
from policy import rules
from policy.rules import Registered
from tests.unit.infra import mocked
from tests.unit.infra.mocked import Result

CLOUDS = tuple(mocked.CONFIGS)


@cache
def built(cloud: str) -> Result:
    return mocked.build(cloud)


def registered(cloud: str) -> list[Registered]:
    return [Registered(row.token, row.name, row.inputs, row.request.protect) for row in built(cloud).rows]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_policies_find_nothing(cloud: str) -> None:
    rows = registered(cloud)
    assert list(rules.findings(rows, "https://api.hetzner.cloud/v1")) == []
    assert list(rules.without_data(rows)) == []


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_tables_know_what_is_registered(cloud: str) -> None:
    kinds = {row.token for row in built(cloud).rows}
    assert kinds & set(resource_guards.MACHINES)
    assert {resource_guards.DATA[kind] for kind in kinds & set(resource_guards.DATA)} >= {"volume"}
    assert kinds & resource_guards.ADDRESSES
    opened = [opening for row in registered(cloud) for opening in resource_guards.openings(row.type, row.inputs)]
    assert {opening.port for opening in opened} >= {"80", "443"}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_resources_cost_what_the_program_says(cloud: str) -> None:
    settings, offer = mocked.settings(cloud), catalog.load(cloud)
    made = plan.plan(settings, offer)
    bill = resource_prices.bill((row.token, row.inputs) for row in built(cloud).rows)
    assert bill.unknown == ()
    told = cost.monthly(made, made.choices[0], offer).total
    assert abs(bill.amount(offer.currency) - told) <= Decimal("0.01")
