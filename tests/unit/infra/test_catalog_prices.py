"""The prices of the compared clouds: complete, dated, sourced; the guide's table as the guide gives it."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from infra import catalog, catalog_prices, compare_guide
from infra.catalog_prices import Offer
from infra.compare_report import warnings

OFFERS = [catalog_prices.load(cloud) for cloud in catalog_prices.priced()]
each_offer = pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.cloud)


def test_more_clouds_are_priced_than_can_be_built() -> None:
    assert catalog_prices.priced() == ("hetzner", "digitalocean", "linode", "aws", "gcp")
    assert {"hetzner", "digitalocean", "aws"} <= set(catalog.clouds())


@each_offer
def test_a_cloud_is_complete(offer: Offer) -> None:
    assert offer.vat == "net"
    assert offer.region
    assert 600 < offer.hours_per_month <= 730
    assert len({plan.name for plan in offer.plans}) == len(offer.plans) > 10
    for plan in offer.plans:
        assert plan.monthly > 0, plan.name
        assert plan.vcpus > 0, plan.name
        assert plan.memory_gb > 0, plan.name
    assert 0 < offer.volume.min_gb < offer.volume.max_gb
    assert offer.volume.per_gb > 0
    assert offer.load_balancer.monthly > 0
    assert offer.bucket.per_gb > 0
    assert offer.egress.per_gb > 0
    assert offer.machine_backup
    assert [plan.memory_gb for plan in offer.databases] == sorted(plan.memory_gb for plan in offer.databases)


@each_offer
def test_every_row_says_where_it_comes_from(offer: Offer) -> None:
    for source in offer.sources():
        assert datetime.date(2025, 1, 1) <= source.as_of <= datetime.date.today()
        assert source.fetched or any(word in source.text for word in ("not fetched", "others published"))


def test_hetzner_is_compared_with_what_would_be_built() -> None:
    offer, built = catalog_prices.load("hetzner"), catalog.load("hetzner")
    assert {plan.name for plan in offer.plans} == set(built.server_types)
    for plan in offer.plans:
        prices = built.server_types[plan.name].monthly
        assert plan.orderable is ("fsn1" in prices)
        assert not plan.orderable or plan.monthly == prices["fsn1"]
    assert (offer.volume.per_gb, offer.address.monthly) == (built.volume_per_gb, built.primary_ipv4)
    assert offer.plans[0].source.as_of == built.as_of


def test_an_hourly_price_is_paid_for_every_hour_of_the_month() -> None:
    plans = {plan.name: plan.monthly for plan in catalog_prices.load("aws").plans}
    assert plans["t3.large"] == Decimal("60.74")  # 0.0832 x 730


def test_euros_only_at_the_dated_rate() -> None:
    rate = catalog_prices.rate()
    assert rate.eur(Decimal("116.37"), "USD") == Decimal("100.00")
    assert rate.eur(Decimal("7.495"), "EUR") == Decimal("7.50")
    with pytest.raises(KeyError):
        rate.eur(Decimal(1), "GBP")


def test_the_guides_table_as_given() -> None:
    assert compare_guide.as_of().strftime("%B %Y") == "January 2026"
    assert [(row.cloud, row.specs, int(row.cost), row.notes) for row in compare_guide.rows()] == [
        ("hetzner", "4 vCPU, 8 GB, 160 GB SSD", 7, "Best value, EU-based"),
        ("digitalocean", "4 vCPU, 8 GB, 160 GB SSD", 48, "Good UI, NYC/SF/EU"),
        ("linode", "4 vCPU, 8 GB, 160 GB SSD", 36, "Reliable, global"),
        ("aws", "2 vCPU, 8 GB + 100 GB EBS", 76, "Reserved instance pricing"),
        ("gcp", "2 vCPU, 8 GB + 100 GB disk", 68, "Sustained use discounts"),
    ]


def _days(offer: Offer, age: int, limit: int) -> list[str]:
    rate = catalog_prices.rate()
    day = offer.plans[0].source.as_of + datetime.timedelta(days=age)
    return [line for line in warnings([offer], rate, day, limit) if "row(s)" in line]


@pytest.mark.parametrize(("age", "limit", "warned"), [(90, 90, False), (91, 90, True), (91, 365, False), (1, 0, True)])
def test_old_rows_warn(age: int, limit: int, warned: bool) -> None:
    found = _days(catalog_prices.load("aws"), age, limit)
    assert bool(found) is warned
    assert all(f"{age} days old (catalogMaxAgeDays: {limit})" in line for line in found)


def test_prices_known_to_have_changed_warn_at_any_age() -> None:
    offer, rate = catalog_prices.load("hetzner"), catalog_prices.rate()
    assert warnings([offer], rate, datetime.date(2026, 6, 14), 9999) == []
    (found,) = warnings([offer], rate, datetime.date(2026, 6, 15), 9999)
    assert "higher prices" in found
