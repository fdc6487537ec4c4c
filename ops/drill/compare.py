"""What was lost, from what was acknowledged and what is there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ops.drill.load import Ack

RPO_WRITING = 5.0  # seconds, and one upload, under steady writes (issue 7)
RPO_IDLE = 60.0


@dataclass(frozen=True)
class Loss:
    """`acknowledged` and `lost` rows; `seconds`: how long before the cut the oldest lost one was acknowledged; `holes`:
    rows that are missing although a later one is there beyond what writers in parallel explain."""

    acknowledged: int
    lost: int
    seconds: float
    holes: int


def loss(acks: Sequence[Ack], present: Collection[str], cut: float, parallel: int) -> Loss:
    """Compare. With `parallel` writers that many of the newest present rows may overtake a lost one."""
    there = set(present)
    lost = [ack for ack in acks if ack.id not in there]
    kept = sorted(ack.at for ack in acks if ack.id in there)
    edge = kept[-parallel] if len(kept) >= parallel else 0.0
    holes = sum(ack.at < edge for ack in lost)
    seconds = max((cut - min(ack.at for ack in lost)) if lost else 0.0, 0.0)
    return Loss(len(acks), len(lost), round(seconds, 2), holes)
