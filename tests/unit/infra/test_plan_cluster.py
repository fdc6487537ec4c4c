"""The cluster's plan: never below the sizing, never cheaper for more, and for the price that `make costs` says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import catalog, catalog_prices, compare, compare_need, plan_cluster, sizing
from infra.config_reader import SettingsError
from infra.plan_cluster import ClusterPlan

CLOUDS = catalog.clouds()
BUILT = [cloud for cloud in CLOUDS if cloud in catalog_prices.priced()]
NUMBERS = st.integers(100_000, 20_000_000)
clouds = st.sampled_from(BUILT)


def planned(cloud: str, number: int, messages: int = 10, admin: tuple[str, ...] = ()) -> ClusterPlan | None:
    """The plan in the cloud's region of the comparison, None where nothing is large enough."""
    offer = catalog_prices.load(cloud)
    try:
        return plan_cluster.plan(
            "prod", catalog.load(cloud), offer.load_balancer, [offer.region], number, messages, admin
        )
    except SettingsError:
        return None


def cost(made: ClusterPlan) -> Decimal:
    return plan_cluster.monthly(made, made.choices[0], catalog.load(made.cloud)).total


def test_500_000_conversations_on_hetzner() -> None:
    made = planned("hetzner", 500_000, admin=("203.0.113.7/32",))
    assert made is not None
    (placed,) = made.choices
    assert str(placed) == "2 x cx43, 3 x cx53 in fsn1"
    assert [member.address for member in placed.members] == [
        "10.0.1.10", "10.0.1.11", "10.0.1.20", "10.0.1.21", "10.0.1.22",
    ]  # fmt: skip
    assert [member.node.name for member in placed.members] == [f"sekha-prod-{n}" for n in range(1, 6)]
    assert {rule.port for rule in made.public} == {"80", "443"}
    assert [(rule.port, rule.sources) for rule in made.firewall] == [("22", ("203.0.113.7/32",))]
    by_hand = 2 * Decimal("11.99") + 3 * Decimal("22.49") + Decimal("38.90") + Decimal("85.80") + Decimal("2.50")
    assert cost(made) == by_hand + Decimal("7.49")


@settings(deadline=None)
@given(NUMBERS, st.integers(1, 60), clouds)
def test_never_below_the_sizing_and_the_guide(number: int, messages: int, cloud: str) -> None:
    made, demand = planned(cloud, number, messages), sizing.demand(number, messages)
    if made is None:
        return
    rows = catalog.load(cloud).server_types
    for placed in made.choices:
        groups = [member.group for member in placed.members]
        assert (groups.count("controller"), groups.count("data node")) == (2, 3)
        for member in placed.members:
            row = rows[placed.types[member.group]]
            assert (row.vcpus >= 8, row.memory_gb >= 16, row.arch) == (True, True, "x86")
            if member.group == "data node":
                need = demand.chroma_mib + demand.postgres_mib + sizing.SYSTEM_MIB
                assert sizing.usable_mib(row.memory_gb) >= need
                assert member.volumes_gb[-1] >= max(500, demand.disk_gb)


@settings(deadline=None)
@given(NUMBERS, NUMBERS, clouds)
def test_more_conversations_never_cost_less(one: int, two: int, cloud: str) -> None:
    small, large = (planned(cloud, number) for number in sorted((one, two)))
    if small is None:
        assert large is None
    elif large is not None:
        assert cost(small) <= cost(large)


@settings(deadline=None)
@given(NUMBERS, clouds)
def test_the_plan_costs_what_the_comparison_says(number: int, cloud: str) -> None:
    """Two ways of adding up: the planner's machines, and the comparison's bill without what goes by use."""
    made, bought = planned(cloud, number), compare.quote(catalog_prices.load(cloud), compare_need.need(number))
    assert (made is None) == (bought.total is None)
    if made is None:
        return
    offer = catalog_prices.load(cloud)
    same = offer.volume.per_gb == catalog.load(cloud).volume_per_gb
    parts = sum((bought.part(name) for name in ("server", "disk", "address", "load balancer")), Decimal(0))
    if same and bought.part("egress") == 0:  # traffic that a dearer plan includes may pay for that plan
        assert abs(cost(made) - parts) <= Decimal("0.05")


@pytest.mark.parametrize(("number", "topology"), [(1, "single"), (99_999, "single"), (100_000, "cluster")])
def test_topology_follows_the_guide(number: int, topology: str) -> None:
    assert plan_cluster.topology(number) == topology == compare_need.need(number).topology


def test_preferred_regions_come_first_and_those_without_machines_are_skipped() -> None:
    offer = catalog_prices.load("hetzner")
    made = plan_cluster.plan("x", catalog.load("hetzner"), offer.load_balancer, ["hel1", "ash", "fsn1"], 200_000)
    assert [placed.location for placed in made.choices] == ["hel1", "ash", "fsn1"]
    with pytest.raises(SettingsError, match="sekha:conversations = 10000000: needs partitioning"):
        plan_cluster.plan("x", catalog.load("hetzner"), offer.load_balancer, ["fsn1"], 10_000_000)
