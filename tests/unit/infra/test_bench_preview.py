"""What `make bench-preview` compares is one resource, and the same resources that a stack gets."""

from __future__ import annotations

import subprocess
import sys

import pulumi
import pytest

from bench import preview_program
from infra.bootstrap import STAGE0
from tests.unit.infra import mocked, samples


@pytest.mark.parametrize("cloud", preview_program.REGIONS)
def test_the_compared_programs(cloud: str) -> None:
    raw = preview_program.config(cloud, samples.signing_key())
    with mocked.mocks(raw) as recorder:
        pulumi.runtime.test(lambda: preview_program.one(cloud))()  # type: ignore[no-untyped-call]
        assert len([row for row in recorder.rows if row.kind != "Stack"]) == 1
    with mocked.mocks(raw) as recorder:
        pulumi.runtime.test(lambda: preview_program.full(cloud, raw))()  # type: ignore[no-untyped-call]
        kinds = sorted(row.kind for row in recorder.rows if row.kind not in ("Stack", "aws", "digitalocean"))
    given = (row.kind for row in mocked.build(cloud).rows if row.kind not in ("Stack", "aws", "digitalocean"))
    assert kinds == sorted(given)


@pytest.mark.parametrize(("cloud", "part"), [("digitalocean", "pulumi_digitalocean."), ("aws", "pulumi_aws.ec2.")])
def test_a_preview_reads_only_what_it_uses_of_a_large_sdk(cloud: str, part: str) -> None:
    code = f"import sys, infra.clouds.{cloud}; print(sum(name.startswith('{part}') for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=STAGE0.parents[1]
    )
    assert 0 < int(done.stdout) < 30  # of hundreds
