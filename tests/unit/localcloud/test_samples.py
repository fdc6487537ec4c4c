"""Metrics: what is kept, what the API shows of it, and the files the counters come from."""

from __future__ import annotations

import pytest

from localcloud import samples
from localcloud.machines import haproxy, usage
from localcloud.samples import Samples
from tests.unit.localcloud.conftest import Rig

NET = """\
Inter-|   Receive               |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:    1    2    0    0    0     0     0     0        3       4    0    0    0     0       0          0
  eth0: 1000   10    0    0    0     0     0     0     2000      20    0    0    0     0       0          0
"""
DISK = "    7  0    16  0    9  0    32  0  0  0  0  0  0  0  0\n"
STATS = """\
# pxname,svname,scur,stot,bin,bout,req_tot
f80,FRONTEND,2,30,100,200,40
f443,FRONTEND,1,3,1,2,4
b80,BACKEND,9,9,9,9,9
"""


def test_rates_are_of_the_growth_per_second() -> None:
    kept, key = Samples(), ("server", 1)
    for moment, value in [(1000.0, 0.0), (1010.0, 50.0), (1020.0, 150.0), (1030.0, 20.0)]:  # started again at the end
        kept.add(key, moment, {"cpu": value})
    assert kept.series(key, "cpu", 1000, 1040, 10) == [(1010, "5"), (1020, "10"), (1030, "2")]
    assert kept.series(key, "cpu", 1000, 1040, 40) == [(1000, "5.66667")]
    assert kept.series(key, "cpu", 1015, 1025, 10) == [(1015, "10")]
    kept.forget_but(set())
    assert kept.series(key, "cpu", 1000, 1040, 10) == []


def test_where_the_counters_come_from() -> None:
    assert usage.network(NET)["network.0.bandwidth.out"] == 2000
    assert usage.network(NET)["network.0.pps.in"] == 10
    assert usage.network("") == {}
    assert usage.disk(DISK) == {
        "disk.0.iops.read": 7, "disk.0.bandwidth.read": 16 * 512, "disk.0.iops.write": 9,
        "disk.0.bandwidth.write": 32 * 512,
    }  # fmt: skip
    assert haproxy.totals(STATS) == {
        "open_connections": 3, "connections_per_second": 33, "requests_per_second": 44,
        "bandwidth.in": 101, "bandwidth.out": 202,
    }  # fmt: skip
    assert haproxy.totals("") == {}


def test_the_api_shows_them(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    made = rig.done(rig.ask("POST", "/servers", {"name": "s", "server_type": "cx23", "image": "debian-13"}, 201))
    number = made["server"]["id"]
    for moment, value in [(1_700_000_000.0, 0.0), (1_700_000_010.0, 300.0)]:
        monkeypatch.setattr("localcloud.samples.time.time", lambda moment=moment: moment)
        rig.backend.counters[number] = {"cpu": value}
        samples.take(rig.cloud.samples, rig.cloud)
    monkeypatch.undo()
    query = "type=cpu,network&start=2023-11-14T22:13:00%2B00:00&end=2023-11-14T22:14:00Z&step=30"
    shown = rig.ask("GET", f"/servers/{number}/metrics?{query}", status=200)["metrics"]
    assert (shown["start"], shown["end"], shown["step"]) == ("2023-11-14T22:13:00+00:00", "2023-11-14T22:14:00Z", 30)
    assert shown["time_series"]["cpu"] == {"values": [[1_699_999_980 + 30, "30"]]}
    assert shown["time_series"]["network.0.pps.in"]["values"] == [[1_700_000_010, "0"]]
    query = "type=cpu&start=2023-11-14T22:00:00Z&end=2023-11-15T22:00:00Z"
    one = rig.ask("GET", f"/servers/{number}/metrics?{query}", status=200)["metrics"]
    assert (one["step"], one["time_series"]["cpu"]["values"]) == (10, [])  # a single value makes no series
    rig.cloud.samples.add(("server", number), 1_700_000_030.0, {"cpu": 400.0})
    two = rig.ask("GET", f"/servers/{number}/metrics?{query}", status=200)["metrics"]["time_series"]["cpu"]["values"]
    assert two == [[1_700_000_010, "30"], [1_700_000_030, "5"]]
    for wrong in ("type=cpu&start=x&end=y", "type=cpu", "start=2023-11-14T22:13:00Z&end=2023-11-14T22:14:00Z"):
        assert rig.error("GET", f"/servers/{number}/metrics?{wrong}") == (422, "invalid_input")
