"""The comparing stack's config, the age of prices in every stack, and the difference in cost."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from infra import compare_stack, cost, program
from infra.config_reader import SettingsError
from ops import comparison
from tests.unit.infra import samples

TODAY = datetime.date(2026, 6, 1)


def test_any_number_of_conversations_is_compared() -> None:
    made = compare_stack.made("compare", {"sekha:conversations": "500000"}, TODAY)
    assert made.quotes[0].need.topology == "cluster"
    assert any("540" not in line and "digitalocean" in line for line in made.warnings)
    assert compare_stack.made("compare", {"sekha:catalogMaxAgeDays": "36500"}, TODAY).warnings == ()


@pytest.mark.parametrize("config", [{"sekha:conversations": "0"}, {"sekha:messagesPerConversation": "x"}])
def test_bad_values_are_refused(config: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(config))):
        compare_stack.made("compare", config, TODAY)


def test_the_tracked_stack_is_one_and_prod_is_none() -> None:
    assert comparison.is_comparison("compare")
    assert not comparison.is_comparison("prod")
    assert not comparison.is_comparison("none-such")


def test_old_prices_of_the_own_cloud_warn() -> None:
    found = program.price_warnings(samples.settings(catalogMaxAgeDays=0))
    assert any("Hetzner" in line and "days old (catalogMaxAgeDays: 0)" in line for line in found)
    assert not any("days old" in line for line in program.price_warnings(samples.settings(catalogMaxAgeDays=36500)))


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", ""),
        ("unknown", ""),
        ("5.06 EUR", "; +2.50 EUR to before"),
        ("10.00 EUR", "; -2.44 EUR to before"),
        ("7.56 EUR", "; as before"),
        ("8.00 USD", "; 8.00 USD before"),
    ],
)
def test_difference_in_cost(before: str, said: str) -> None:
    price = cost.Cost((cost.Item("all", 1, Decimal("7.56")),), "EUR", "2026-05-27")
    assert cost.since(price, before) == said
