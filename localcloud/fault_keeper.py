"""Carries out the faults that stay (crashed servers, lost hosts and volumes, partitions, object store outages) and
undoes them when they are over. A thread of the daemon; after a restart of that it goes on from what is on record.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from localcloud import fault_store
from localcloud.backend import BackendError, HostFaults
from localcloud.faults import HITS, MEMBERS, OBJECT_STORE, Fault, is_meant
from localcloud.store import Store

if TYPE_CHECKING:
    from localcloud.worker import Cloud

LOG = logging.getLogger(__name__)
TICK = 0.2  # s between looks at the faults

Named = tuple[str, int, str | None]  # (kind, id, name)


def draw(fault: Fault, candidates: Iterable[Named]) -> tuple[int, ...]:
    """The ids it hits, of the candidates it is about: each by its probability, at most `count`; the seed decides."""
    meant = sorted(number for kind, number, name in candidates if is_meant(fault.resource or kind, kind, number, name))
    chance = random.Random(f"{fault.seed}:{fault.matched}")  # noqa: S311
    hit = [number for number in meant if chance.random() < fault.probability]
    if fault.count is not None and len(hit) > fault.count:
        hit = sorted(chance.sample(hit, fault.count))
    return tuple(hit)


def holding(faults: Iterable[Fault], named: Sequence[Named]) -> HostFaults:
    """What is broken while these faults hold."""
    partitions, volumes, stores = [], set[int](), list[Fault]()
    for fault in faults:
        if fault.kind == "partition" and fault.victims:
            peers = {number for kind, number, name in named if fault.peer and is_meant(fault.peer, kind, number, name)}
            partitions.append((frozenset(fault.victims), frozenset(peers - set(fault.victims)) if fault.peer else None))
        elif fault.kind == "volume_loss":
            volumes |= set(fault.victims or ())
        elif fault.kind in OBJECT_STORE:
            stores.append(fault)
    shut = any(f.kind == "object_store_refused" and f.probability >= 1 and f.count is None for f in stores)
    store = "refused" if shut else "proxied" if stores else ""
    return HostFaults(tuple(partitions), frozenset(volumes), store)


class Keeper:
    """Works on one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.store, self.broken = cloud, cloud.store, True  # True: undo what an earlier daemon broke
        self._next_draw: dict[int, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Look after the faults until `stop` is set."""
        while not stop.is_set():
            try:
                self.tick()
            except Exception:  # the next look may go better
                LOG.exception("faults")
            stop.wait(TICK)

    def tick(self) -> None:
        """Carry out what is new, keep up what holds, undo what is over."""
        faults = [fault for fault in fault_store.every(self.store) if fault.stays or fault.over()]
        if not faults and not self.broken:
            return
        self._carry_out([fault for fault in faults if fault.stays and not fault.over()])
        holds = [fault for fault in fault_store.listed(self.store) if fault.stays]
        self._keep_off(holds)
        self.cloud.backend.suffer(holding(holds, _named(self.store, MEMBERS)))
        self.broken = bool(holds)
        for fault in holds:
            if not fault.holds and fault.victims is not None:
                fault_store.update(self.store, fault.id, holds=True)
        for fault in faults:
            if fault.over():
                self._forget(fault)

    def _carry_out(self, faults: list[Fault]) -> None:
        for fault in faults:
            if fault.kind == "server_crash":
                self._crash(fault)
            elif fault.victims is None:
                kinds = () if fault.kind in OBJECT_STORE else HITS.get(fault.kind, MEMBERS)
                found = draw(fault, _named(self.store, kinds))
                ran = tuple(n for n in found if fault.kind == "host_loss" and self._runs(n))
                fault_store.update(self.store, fault.id, victims=found, restart=ran)
                LOG.warning("fault %d: %s hits %s", fault.id, fault.kind, found or "nothing that can be named")

    def _crash(self, fault: Fault) -> None:
        """One round of crashes. Without a draw it is the only one."""
        if time.monotonic() < self._next_draw.get(fault.id, 0):
            return
        self._next_draw[fault.id] = time.monotonic() + fault.seconds
        found = draw(fault, [named for named in _named(self.store, ("server",)) if self._runs(named[1])])
        left = None if fault.count is None else fault.count - len(found)
        done = fault.probability >= 1 or left == 0
        victims = (*(fault.victims or ()), *found)
        fault_store.update(self.store, fault.id, matched=fault.matched + 1, count=left or fault.count, victims=victims)
        for number in found:
            LOG.warning("fault %d: server %d crashes", fault.id, number)
            self.cloud.backend.stop_server(number, hard=True)
        if done:
            self._forget(fault)

    def _keep_off(self, holds: list[Fault]) -> None:
        """Machines of a lost host don't run, whoever starts them."""
        for fault in holds:
            for number in fault.victims or () if fault.kind == "host_loss" else ():
                if self._runs(number):
                    self.cloud.backend.stop_server(number, hard=True)

    def _forget(self, fault: Fault) -> None:
        """It is over and undone; a host that is back starts the machines that ran on it."""
        from localcloud.worker import Scope

        with self.store.transaction():
            self.store.save_fault(fault.id, None)
            for number in fault.restart:
                project = self.store.project_of("server", number)
                if project is not None:
                    scope = Scope(self.cloud, project)
                    scope.act("start_server", [("server", number)], "start_server", {"server": number}, hidden=True)

    def _runs(self, number: int) -> bool:
        try:
            return self.cloud.backend.is_running(number)
        except BackendError:
            return False


def _named(store: Store, kinds: Iterable[str]) -> list[Named]:
    return [(kind, row["id"], row["name"]) for kind in kinds for row in store.all(None, kind)]
