"""Faults under load: every acknowledged conversation is there, none is there twice, nothing is half there.

Shortly; `make bench-faults` does the same for as long as the faults would last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.service.databases import Postgres
from tests.service.faketime import Clock
from tests.service.faults import CUT, FAULTS, Fault, Rig
from tests.service.rig import Chroma
from tests.service.small_disk import SmallDisk
from tests.service.under_load import rig_for, run


@pytest.fixture(scope="module")
def rigs(cluster: Postgres, chroma: Chroma) -> Iterator[Callable[[Fault], Rig]]:
    """Makes a rig when first asked for: one for all faults of a database that need the same."""
    with ExitStack() as stack:
        made: dict[tuple[str, str], Rig] = {}

        def rig(fault: Fault) -> Rig:
            key = fault.database, fault.needs
            if key not in made:
                made[key] = stack.enter_context(rig_for(fault, cluster, chroma))
            return made[key]

        yield rig


@pytest.mark.parametrize("fault", FAULTS, ids=lambda it: f"{it.name}, {it.database}")
def test_acknowledged_rows_are_present(fault: Fault, rigs: Callable[[Fault], Rig]) -> None:
    if fault.needs == "disk" and not SmallDisk.possible():
        pytest.skip("making a small file system needs root")
    if fault.needs == "clock" and not Clock.possible():
        pytest.skip("libfaketime is missing")
    outcome = run(fault, rigs(fault), min(fault.seconds, 2), threads=4, pause=0.02)
    assert outcome.harmless, outcome


def test_connection_cut_in_commit(rigs: Callable[[Fault], Rig]) -> None:
    rig = rigs(FAULTS[0])
    assert rig.proxy
    before = rig.proxy.cuts
    for number in range(20):
        if number % 2:
            rig.proxy.cut_after = 1
        else:
            rig.proxy.cut_before = 1
        made = rig.service.create(f"{CUT} {number}", "one", "two")
        assert rig.service.client.get(f"/api/v1/conversations/{made['id']}").json()["message_count"] == 2
    assert rig.proxy.cuts == before + 20
    rows = rig.data.execute(f"SELECT count(*), count(DISTINCT label) FROM conversations WHERE label LIKE '{CUT} %'")  # noqa: S608
    assert rows == [(20, 20)], "nothing lost, nothing twice"
