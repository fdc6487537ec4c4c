"""Control groups of both versions, on faked trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.limits import CgroupV1, CgroupV2, detect


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    """A version 1 tree; groups and their files exist already, for a plain folder does not grow them."""
    files = {"memory": ["memory.limit_in_bytes"], "cpu": ["cpu.cfs_period_us", "cpu.cfs_quota_us"]}
    files |= {"devices": ["devices.deny", "devices.allow"], "systemd": []}
    for controller, names in files.items():
        group = tmp_path / controller / "slc" / "7"
        group.mkdir(parents=True)
        for name in ["cgroup.procs", *names]:
            (group / name).touch()
            (tmp_path / controller / name).touch()
    return tmp_path


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    """A version 2 tree."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    group = tmp_path / "slc" / "7"
    group.mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "slc", group):
        (folder / "cgroup.subtree_control").touch()
        (folder / "cgroup.procs").touch()
    for name in ("memory.max", "cpu.max"):
        (group / name).touch()
    return tmp_path


def test_version_1_limits(v1: Path) -> None:
    limits = detect(v1)
    assert isinstance(limits, CgroupV1)
    assert limits.create(7, cores=2, memory_gb=4.0) == []
    assert (v1 / "memory/slc/7/memory.limit_in_bytes").read_text() == str(4 * 2**30)
    assert (v1 / "cpu/slc/7/cpu.cfs_quota_us").read_text() == "200000"
    assert (v1 / "devices/slc/7/devices.deny").read_text() == "a"
    assert (v1 / "devices/slc/7/devices.allow").read_text().startswith("b *:* m"), "nodes may be made, not used"
    limits.allow_device(7, 7, 3, True)
    assert (v1 / "devices/slc/7/devices.allow").read_text().startswith("b 7:3 rwm")
    assert {p.parent.parent.parent.name for p in limits.join_files(7)} == {"memory", "cpu", "devices", "systemd"}


def test_running_units_may_use_a_device_that_comes_later_but_closed_ones_may_not(v1: Path) -> None:
    ours = v1 / "devices/slc/7"
    for unit, rules in (("agent.service", "c 1:3 rwm\nb *:* m\n"), ("closed.service", "c 1:3 rwm\n")):
        (ours / "system.slice" / unit).mkdir(parents=True)
        (ours / "system.slice" / unit / "devices.list").write_text(rules)
        (ours / "system.slice" / unit / "devices.allow").touch()
    detect(v1).allow_device(7, 7, 3, True)
    assert (ours / "system.slice/agent.service/devices.allow").read_text() == "b 7:3 rwm"
    assert (ours / "system.slice/closed.service/devices.allow").read_text() == ""


def test_version_2_limits(v2: Path) -> None:
    limits = detect(v2)
    assert isinstance(limits, CgroupV2)
    assert limits.create(7, cores=3, memory_gb=0.5) == []
    assert (v2 / "slc/7/memory.max").read_text() == str(2**29)
    assert (v2 / "slc/7/cpu.max").read_text() == "300000 100000"
    assert (v2 / "slc/cgroup.subtree_control").read_text().startswith("+pids")  # written last
    assert limits.join_files(7) == [v2 / "slc/7/cgroup.procs"]


@pytest.mark.parametrize(
    ("tree", "file"), [("v1", "memory/slc/7/memory.limit_in_bytes"), ("v1", "cpu/slc/7/cpu.cfs_quota_us"),
                       ("v2", "slc/7/memory.max"), ("v2", "slc/7/cpu.max")]
)  # fmt: skip
def test_a_limit_that_cannot_be_set_warns(tree: str, file: str, request: pytest.FixtureRequest) -> None:
    root: Path = request.getfixturevalue(tree)
    (root / file).unlink()
    warnings = detect(root).create(7, cores=1, memory_gb=1)
    assert len(warnings) == 1
    assert file in warnings[0]


def test_groups_lists_what_is_there(v2: Path) -> None:
    assert detect(v2).groups() == [v2 / "slc", v2 / "slc/7"]


def test_processes_of_unseen_namespaces_are_left_alone(v2: Path) -> None:
    """The kernel shows them as 0, and kill(0) would end the caller's own process group."""
    (v2 / "slc/7/cgroup.procs").write_text("0\n4194999\n0\n")
    assert detect(v2).pids(7) == {4194999}
