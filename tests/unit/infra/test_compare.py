"""What the clouds cost: totals re-added from the raw file, never below the need, never cheaper for more."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import catalog_prices, compare, compare_need, plan, sizing
from infra.catalog_prices import ServerPlan
from infra.compare import PARTS, Quote
from tests.unit.infra import samples

CLOUDS = catalog_prices.priced()
RATE = catalog_prices.rate()
conversations = st.integers(1, 20_000_000)
messages = st.integers(1, 100)
clouds = st.sampled_from(CLOUDS)
RAW = catalog_prices.document()["clouds"]


def _quote(cloud: str, number: int, each: int = 10, managed: bool = False) -> Quote:
    return compare.quote(catalog_prices.load(cloud), compare_need.need(number, each, managed))


def _cents(*amounts: float) -> Decimal:
    """Quantities times prices, each rounded to the cent, added up."""
    return sum((Decimal(str(a)).quantize(Decimal("0.01"), ROUND_HALF_UP) for a in amounts), Decimal(0))


@pytest.mark.parametrize(
    ("cloud", "number", "total"),
    [
        ("hetzner", 50_000, _cents(3.99, 10 * 0.0572, 0.50, 4.99)),
        ("digitalocean", 50_000, _cents(24, 10 * 0.10, 5)),
        ("linode", 50_000, _cents(24, 10 * 0.10, 5)),
        ("aws", 50_000, _cents(0.0376 * 730, 20 * 0.08, 10 * 0.08, 0.005 * 730, 0.023, 3 * 0.023)),
        ("gcp", 50_000, _cents(0.033503 * 730, 20 * 0.1, 10 * 0.1, 0.005 * 730, 0.02, 3 * 0.02, 10 * 0.12)),
        ("hetzner", 500_000, _cents(2 * 11.99, 3 * 22.49, 680 * 0.0572, 1500 * 0.0572, 5 * 0.5, 7.49, 4.99)),
        ("digitalocean", 500_000, _cents(2 * 96, 3 * 252, 2 * 180 * 0.1, 1500 * 0.1, 12, 5)),
        ("linode", 500_000, _cents(2 * 144, 3 * 192, 2 * 180 * 0.1, 1500 * 0.1, 10, 5)),
        ("aws", 500_000, _cents(5 * 219.58, 1000 * 0.08, 60 * 0.08, 1500 * 0.08, 7 * 3.65, 22.27, 0.02, 0.69)),
        ("gcp", 500_000, _cents(5 * 195.66, 1000 * 0.1, 60 * 0.1, 1500 * 0.1, 6 * 3.65, 18.25, 0.02, 0.6, 12)),
    ],
)
def test_totals_added_by_hand(cloud: str, number: int, total: Decimal) -> None:
    assert _quote(cloud, number).total == total


def _month(row: dict[str, Any], hours: int) -> Decimal:
    price = row["hourly"] * hours if "hourly" in row else row["monthly"]
    return _cents(price)


def _readd(bought: Quote) -> Decimal:
    """The bill of a cloud with its own rows, from the raw file and the need alone, for the plans that were chosen."""
    raw, asked = RAW[bought.offer.cloud], bought.need
    hours: int = raw["hours_per_month"]
    chosen, cluster = dict(bought.plans), asked.topology == "cluster"
    bill: Decimal = Decimal(0)
    included, machines = raw["egress"]["included_gb"], 0
    for node in asked.nodes:
        row = raw["plans"][chosen[node.role].name]
        machines += node.count
        bill += node.count * _month(row, hours)
        for size in (node.disk_gb - row["disk_gb"], node.volume_gb):
            if size > 0:
                rounded = max(raw["volume"]["min_gb"], math.ceil(size / 10) * 10)
                bill += _cents(node.count * rounded * raw["volume"]["per_gb"])
        if node.role != "data node":
            included += node.count * row["transfer_gb"]
    balancer, bucket = raw["load_balancer"], raw["bucket"]
    bill += (machines + cluster * balancer.get("addresses", 0)) * _month(raw["address"], hours)
    bill += cluster * _month(balancer, hours)
    releases = max(0, 1 - bucket["included_gb"])
    stored = max(0, 1 + asked.backup_gb - bucket["included_gb"]) - releases
    bill += _cents(bucket["monthly"], releases * bucket["per_gb"]) + _cents(stored * bucket["per_gb"])
    bill += _cents(max(0, asked.egress_gb - included) * raw["egress"]["per_gb"])
    return bill


@given(conversations, messages, st.sampled_from([name for name in CLOUDS if name != "hetzner"]))
def test_totals_re_added_from_the_raw_file(number: int, each: int, cloud: str) -> None:
    bought = _quote(cloud, number, each)
    if bought.total is not None:
        assert abs(bought.total - _readd(bought)) <= Decimal("0.02")  # the file's floats round to the cent
        assert bought.total == sum((bought.part(name) for name in PARTS), Decimal(0))


@given(conversations, messages, clouds, st.booleans())
def test_never_below_the_sizing(number: int, each: int, cloud: str, managed: bool) -> None:
    bought, demand = _quote(cloud, number, each, managed), sizing.demand(number, each)
    if bought.reason:
        assert (bought.total, bought.eur(RATE), bought.lines) == (None, None, ())
        return
    postgres = 0 if managed else demand.postgres_mib
    for role, chosen in bought.plans:
        usable = sizing.usable_mib(chosen.memory_gb)
        assert chosen.orderable
        assert chosen.arch == plan.ARCHITECTURE
        if role == "server":
            assert usable >= demand.memory_mib - demand.postgres_mib + postgres
            assert number < 100_000
        else:
            assert (chosen.vcpus >= 8, chosen.memory_gb >= 16) == (True, True)  # the guide, per node
        if role == "data node":
            assert usable >= demand.chroma_mib + postgres + sizing.SYSTEM_MIB
    data = next(node for node in bought.need.nodes if node.role != "controller")
    sizes = compare.volumes(bought.offer, dict(bought.plans)[data.role], data)
    assert sizes[-1] >= (10 if managed else demand.disk_gb)
    assert sizes[-1] >= (500 if bought.need.topology == "cluster" else 10)
    assert max(sizes) <= bought.offer.volume.max_gb


@given(st.tuples(conversations, conversations), messages, clouds, st.booleans())
def test_more_conversations_never_cost_less(pair: tuple[int, int], each: int, cloud: str, managed: bool) -> None:
    fewer, more = (_quote(cloud, number, each, managed).total for number in sorted(pair))
    if fewer is None:
        assert more is None
    else:
        assert more is None or fewer <= more


@pytest.mark.parametrize("cloud", CLOUDS)
def test_cost_grows_over_every_threshold(cloud: str) -> None:
    steps = [_quote(cloud, number).total for number in (1, 70_000, 99_999, 100_000, 400_000, 900_000, 4_000_000)]
    for fewer, more in pairwise(steps):
        assert fewer is not None
        assert more is not None
        assert fewer <= more


@given(st.integers(1, 99_999), clouds)
def test_no_other_plan_is_cheaper(number: int, cloud: str) -> None:
    asked, offer = compare_need.need(number), catalog_prices.load(cloud)
    bought = _quote(cloud, number)

    def alone(candidate: ServerPlan) -> Decimal:
        lines = compare.node_lines(offer, asked.nodes[0], candidate)
        return compare.total([*lines, compare.egress(offer, asked, candidate)])

    mine = alone(bought.plans[0][1])
    assert mine == min(alone(candidate) for candidate in offer.plans if compare.fits(candidate, asked.nodes[0]))


@pytest.mark.parametrize("number", [1_000, 50_000, 99_999])
def test_on_hetzner_it_is_the_server_that_would_be_built(number: int) -> None:
    built = plan.plan(samples.settings(conversations=number, regions=["fsn1"]), samples.HETZNER)
    bought = _quote("hetzner", number)
    assert bought.plans[0][1].name == built.choices[0].server_type
    assert bought.need.nodes[0].volume_gb <= built.volume_gb


@pytest.mark.parametrize("cloud", CLOUDS)
def test_beyond_the_largest_plan_there_is_no_price(cloud: str) -> None:
    bought = _quote(cloud, 50_000_000)
    assert bought.reason.startswith("needs partitioning: ")
    assert (bought.total, bought.eur(RATE), bought.plans) == (None, None, ())


def test_a_cluster_is_the_guides() -> None:
    controllers, data = compare_need.need(100_000).nodes
    assert (controllers.count, data.count) == (2, 3)
    for node in (controllers, data):
        assert (node.vcpus, node.memory_gb, node.disk_gb + node.volume_gb >= 500) == (8, 16, True)
    assert [node.role for node in compare_need.need(99_999).nodes] == ["server"]


def test_a_managed_database_is_bought_where_it_is_sold() -> None:
    assert _quote("hetzner", 50_000, managed=True).reason == "Hetzner sells no managed PostgreSQL"
    assert _quote("digitalocean", 50_000, managed=True).part("database") == Decimal("15.15")
    assert _quote("aws", 500_000, managed=True).part("database") == _cents(2 * 47.45, 2 * 20 * 0.115)
    assert _quote("aws", 500_000).part("database") == 0
    small = catalog_prices.load("linode")
    small = replace(small, databases=small.databases[:1])  # 1 GB, and no disk can be added
    assert "no managed PostgreSQL holds" in compare.quote(small, compare_need.need(500_000, managed=True)).reason


@pytest.mark.parametrize(
    ("cloud", "expected"),
    [("hetzner", Decimal("0.80")), ("linode", Decimal("5.00")), ("aws", Decimal("1.50"))],  # 20 %, 20.83 %, 30 GB
)
def test_the_clouds_own_backups_are_shown_apart(cloud: str, expected: Decimal) -> None:
    assert compare.machine_backup(_quote(cloud, 50_000)) == expected


@pytest.mark.parametrize(
    ("name", "fitting"),
    [("cx33", True), ("cpx31", False), ("cax21", False), ("cx23", False)],  # sold in the US only; arm; 4 GB
)
def test_what_fits(name: str, fitting: bool) -> None:
    (server,) = compare_need.need(90_000).nodes
    (offered,) = [row for row in catalog_prices.load("hetzner").plans if row.name == name]
    assert compare.fits(offered, server) is fitting
