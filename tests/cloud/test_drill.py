"""`make drill` as by hand: all but the bucket is lost in the middle of writes, and comes back elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.conftest import REPO, LocalCloud

OWN = ("cloud-test", "stacks", "state", "pulumi-home")  # of the cache, which the drill must have for itself

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(1600)]


def drill(local_cloud: LocalCloud, cache: Path, **settings: str) -> dict[str, Any]:
    """The figures of `make drill` with these settings, on the session's local cloud."""
    for shared in local_cloud.paths.cache.iterdir():
        if not shared.name.startswith((*OWN, ".")):
            (cache / shared.name).symlink_to(shared)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "HCLOUD_"))}
    env["PATH"] = os.pathsep.join(part for part in env["PATH"].split(os.pathsep) if "/toolchain/" not in part)
    env |= {"SEKHA_CACHE": str(cache), "SEKHA_CLOUD_DIR": str(local_cloud.paths.cloud), "JSON": "1", **settings}
    done = subprocess.run(
        ["make", "-s", "-C", str(REPO), "drill"], env=env, capture_output=True, text=True, check=False, timeout=1500
    )
    last = "".join(done.stdout.splitlines()[-1:])
    assert '"broken"' in last, done.stdout[-3000:] + done.stderr[-3000:]
    figures: dict[str, Any] = json.loads(last)
    # How many seconds are lost is `make drill`'s to judge: here a busy machine's seconds are no fault.
    assert [text for text in figures["broken"] if not text.startswith("RPO")] == []
    assert figures["bulk_equal"]
    assert figures["rpo"]["lost"] < figures["rpo"]["acknowledged"] - 1  # of what was written under load some is there
    return figures


def test_a_lost_stack_comes_back_from_its_bucket_in_another_region_and_plan(
    local_cloud: LocalCloud, tmp_path: Path
) -> None:
    figures = drill(local_cloud, tmp_path, SIZE="100", SECONDS="20", TO_REGION="nbg1", TO_PLAN="cx33")
    assert figures["size_mb"] > 90
    assert figures["searches_equal"]
    assert figures["restore"]["timeline"] == 2
    assert figures["servers"]["before"] != figures["servers"]["after"] == ["cx33 in nbg1"]


def test_a_lost_stack_on_sqlite_comes_back_from_its_stream(local_cloud: LocalCloud, tmp_path: Path) -> None:
    figures = drill(local_cloud, tmp_path, DATABASE="sqlite", SIZE="20", SECONDS="8")
    assert figures["database"] == "sqlite"
    assert 18 < figures["size_mb"] < 30
    assert figures["restore"]["conversations"] > figures["rows"]  # the bulk, and what was written since
