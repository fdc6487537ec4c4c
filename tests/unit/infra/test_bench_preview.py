"""What `make bench-preview` compares is one resource, and the same resources that a stack gets."""

from __future__ import annotations

import pulumi
import pytest

from bench import preview_program
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
