"""Prices re-added by hand, and each guard seen to refuse."""

from __future__ import annotations

from decimal import Decimal

import pytest

from infra import cost, guards, plan
from infra.cost import Cost, Item
from infra.plan import Choice, FirewallRule
from infra.settings import parse
from tests.unit.infra import samples
from tests.unit.infra.samples import HETZNER


@pytest.mark.parametrize(
    ("choice", "conversations", "total"),
    [
        (Choice("fsn1", "cx23"), 20_000, Decimal("3.99") + Decimal("0.57") + Decimal("0.50")),  # 10 GB x 0.0572
        (Choice("nbg1", "cx33"), 99_999, Decimal("6.49") + Decimal("1.14") + Decimal("0.50")),  # 20 GB x 0.0572
    ],
)
def test_a_months_cost_re_added(choice: Choice, conversations: int, total: Decimal) -> None:
    made = plan.plan(samples.settings(conversations=conversations), HETZNER)
    price = cost.monthly(made, choice, HETZNER)
    assert price.total == total
    assert str(price.total) in str(price)
    assert HETZNER.as_of.isoformat() in str(price)


def test_every_type_is_priced_where_the_catalog_knows_the_location() -> None:
    for machine in HETZNER.server_types.values():
        assert machine.monthly
        assert set(machine.monthly) <= set(HETZNER.network_zones)
        assert all(price > 0 for price in machine.monthly.values())


@pytest.mark.parametrize("network", ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "2000::/3"])
@pytest.mark.parametrize("key", ["adminCidrs", "metricsCidrs"])
def test_no_administration_from_the_whole_internet(key: str, network: str) -> None:
    (problem,) = guards.admin_networks(samples.settings(**{key: [network]}))
    assert (problem.key, problem.value) == (f"sekha:{key}", network)
    assert "name the networks" in problem.remedy


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (FirewallRule("tcp", "443", plan.ANYWHERE, ""), False),
        (FirewallRule("icmp", None, plan.ANYWHERE, ""), False),
        (FirewallRule("tcp", "22", ("203.0.113.0/24",), ""), False),
        (FirewallRule("tcp", "22", plan.ANYWHERE, ""), True),
        (FirewallRule("tcp", "5432", ("203.0.113.0/24",), ""), True),
        (FirewallRule("tcp", "8000", plan.ANYWHERE, ""), True),
    ],
)
def test_nothing_but_the_service_is_public(rule: FirewallRule, bad: bool) -> None:
    assert bool(guards.firewall([rule])) is bad


def test_protection_may_be_off_on_the_local_cloud_only() -> None:
    (problem,) = guards.protection(samples.settings(protect=False))
    assert (problem.key, problem.value) == ("sekha:protect", "false")
    assert guards.protection(samples.settings(protect=True)) == []
    local = parse(samples.config(protect=False) | {"hcloud:endpoint": "http://127.0.0.1:8580/v1"}, "local", {})
    assert guards.protection(local) == []


@pytest.mark.parametrize(("budget", "refused"), [(0, False), (6, False), (5, True)])
def test_the_budget_holds(budget: int, refused: bool) -> None:
    price = Cost((Item("server", 1, Decimal("5.06")),), "EUR", "2026-01-01")
    problems = guards.budget(samples.settings(monthlyBudget=budget), price)
    assert bool(problems) is refused
    if refused:
        assert problems[0].key == "sekha:monthlyBudget"
        assert "5.06" in problems[0].remedy


def test_a_good_plan_passes_every_guard() -> None:
    made = samples.settings(adminCidrs=["203.0.113.7/32"], monthlyBudget=20)
    planned = plan.plan(made, HETZNER)
    assert guards.check(made, planned, cost.monthly(planned, planned.choices[0], HETZNER)) == []
