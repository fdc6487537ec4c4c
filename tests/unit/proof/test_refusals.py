"""Every case that `make proof-refusals` shows is refused, and the starting point without a fault is not."""

from __future__ import annotations

import pytest

from proof import refusals


@pytest.mark.parametrize("name", refusals.CASES)
def test_bad_input_is_refused_with_a_remedy(name: str) -> None:
    answer = refusals.CASES[name]()
    assert len(answer) > 40, answer


def test_a_good_config_and_a_good_host_pass() -> None:
    assert refusals.refused_config() == ""
    assert refusals.refused_host() == ""
