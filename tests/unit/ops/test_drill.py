"""What a drill counts as lost."""

from __future__ import annotations

import pytest

from ops.drill.compare import loss
from ops.drill.fill import vector
from ops.drill.load import Ack

ACKS = [Ack(str(number), 100.0 + number) for number in range(10)]


@pytest.mark.parametrize(
    ("missing", "lost", "seconds", "holes"),
    [
        ((), 0, 0.0, 0),
        (("8", "9"), 2, 2.5, 0),
        (("7", "9"), 2, 3.5, 0),
        (("2",), 1, 8.5, 1),
        (tuple("0123456789"), 10, 10.5, 0),
    ],
)
def test_loss(missing: tuple[str, ...], lost: int, seconds: float, holes: int) -> None:
    present = [ack.id for ack in ACKS if ack.id not in missing]
    found = loss(ACKS, present, cut=110.5, parallel=2)
    assert (found.acknowledged, found.lost, found.seconds, found.holes) == (10, lost, seconds, holes)


def test_a_vector_is_the_same_each_time() -> None:
    assert vector(7) == vector(7) != vector(8)
    assert len(vector(7)) == 3 + 384 * 8
