"""The number of requests follows from the settings, and costs what the dated prices say."""

from __future__ import annotations

import pytest

from infra import backup_cost


def test_nothing_is_archived_while_nothing_is_written() -> None:
    assert backup_cost.requests(0, 4, 1000).rows["archived WAL"] == (0, 0)


@pytest.mark.parametrize(("hours", "timeout", "segments"), [(24, 4, 648_000), (8, 4, 216_000), (8, 60, 14_400)])
def test_archived_segments(hours: float, timeout: int, segments: int) -> None:
    assert backup_cost.requests(hours, timeout, 1000).rows["archived WAL"] == (segments, 0)


def test_sqlite_costs_nothing_for_changes_while_nothing_is_written() -> None:
    assert backup_cost.sqlite_requests(0, 1, 1000).rows["changes (litestream)"] == (0, 0)
    assert backup_cost.sqlite_requests(8, 1, 1000).rows["changes (litestream)"] == (864_000, 0)
    idle = backup_cost.sqlite_requests(0, 1, 100)
    assert backup_cost.price(idle, "aws") < 1


def test_price() -> None:
    made = backup_cost.Requests({"a": (1_000_000, 500_000), "b": (0, 500_000)})
    assert backup_cost.price(made, "aws") == pytest.approx(5.0 + 0.4)
    assert backup_cost.price(made, "hetzner") == 0
