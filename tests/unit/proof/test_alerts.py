"""Metrics of a machine as promtool takes them."""

from __future__ import annotations

from proof.alerts import series

METRICS = """# HELP a_timestamp_seconds x
a_timestamp_seconds{stack="s"} 1000
b_timestamp_seconds{stack="s"} 0
c{stack="s"} 7
"""


def test_times_are_moved_and_values_are_not() -> None:
    assert series(METRICS, 1600.0) == [
        {"series": 'a_timestamp_seconds{stack="s"}', "values": f"{20 * 86400 - 600}x20"},
        {"series": 'b_timestamp_seconds{stack="s"}', "values": "0x20"},
        {"series": 'c{stack="s"}', "values": "7x20"},
    ]
