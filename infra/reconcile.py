"""State, cloud and bucket compared: what a stack needs before the engine runs, after a crash or a loss. Pure.

The one place of this decision: ops/recover.py carries it out, a preview only tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A row of the state. `data`: what is lost with it can't be made again; `server`: what it is attached to."""

    urn: str
    type: str
    name: str
    id: str
    data: bool = False
    server: str = ""


@dataclass(frozen=True)
class Found:
    """An object of this stack as the cloud has it.

    `type` and `name` are the program's (name "": its labels don't tell), `title` is what people see; `off` is a server
    that does not run, `server` the id of the one that a volume is attached to.
    """

    type: str
    name: str
    id: str
    title: str
    data: bool = False
    off: bool = False
    server: str = ""


@dataclass(frozen=True)
class DataRecord:
    """What the bucket remembers of the stack's data, whatever became of machines and volumes.

    `volume` is the id of the volume that served last ("": none ever did), `ended` that it was given up on purpose (by
    `destroy`, or by accepting its loss). `conversations` and `newest_backup` are the last known, with `as_of`.
    """

    volume: str = ""
    ended: bool = False
    conversations: int | None = None
    as_of: str = ""
    newest_backup: str = ""


@dataclass(frozen=True)
class Decision:
    """What to do before the engine runs. Nothing set: go on.

    `adopt`: into the state; `replaced`: rows of the state that `adopt` takes the place of; `missing`: rows whose object
    is gone, which a refresh finds; `start`: servers to power on; `reattach`: volumes attached to nothing, with the
    server that the state has them at (a refresh is blind to it: the provider keeps the old one); `strangers`: labelled
    as ours, but nothing of the program's. `lost` says which data are gone ("": none): then nothing may be done unless
    the operator accepts it.
    """

    adopt: tuple[Found, ...] = ()
    replaced: tuple[Known, ...] = ()
    missing: tuple[Known, ...] = ()
    start: tuple[Found, ...] = ()
    reattach: tuple[tuple[Found, str], ...] = ()
    strangers: tuple[Found, ...] = ()
    lost: str = ""


def decide(known: Sequence[Known], found: Sequence[Found], record: DataRecord) -> Decision:
    """Compare the state's rows with the cloud's objects and the bucket's record."""
    there = {(thing.type, thing.id) for thing in found}
    recorded = {(row.type, row.id) for row in known}
    living = {(row.type, row.name) for row in known if (row.type, row.id) in there}
    missing = [row for row in known if (row.type, row.id) not in there]
    adopt: dict[tuple[str, str], Found] = {}
    strangers = []
    for thing in found:
        if (thing.type, thing.id) in recorded:
            continue
        urn = (thing.type, thing.name)
        if not thing.name or urn in living or urn in adopt:
            strangers.append(thing)
        else:
            adopt[urn] = thing
    return Decision(
        adopt=tuple(adopt.values()),
        replaced=tuple(row for row in missing if (row.type, row.name) in adopt),
        missing=tuple(missing),
        start=tuple(thing for thing in found if thing.off),
        reattach=_loose(known, found),
        strangers=tuple(strangers),
        lost=_lost(found, record),
    )


def _loose(known: Sequence[Known], found: Sequence[Found]) -> tuple[tuple[Found, str], ...]:
    """Volumes that the state has at a server which is there, and the cloud at none."""
    wanted = {(row.type, row.id): row.server for row in known if row.server}
    ids = {thing.id for thing in found}
    loose = [(thing, wanted.get((thing.type, thing.id), "")) for thing in found if not thing.server]
    return tuple((thing, server) for thing, server in loose if server in ids)


def _lost(found: Sequence[Found], record: DataRecord) -> str:
    """Which data are gone: the volume that served last is not there any more, and nobody gave it up."""
    if not record.volume or record.ended or record.volume in {thing.id for thing in found if thing.data}:
        return ""
    held = "" if record.conversations is None else f"; it held {record.conversations} conversations on {record.as_of}"
    backup = f"the newest backup is of {record.newest_backup}" if record.newest_backup else "no backup of it is known"
    return f"the volume {record.volume} with this stack's data is gone from the cloud{held}; {backup}"
