"""The faults in the state file: add, list, clear, and take the one that hits a request or an action."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from localcloud import faults
from localcloud.faults import Fault
from localcloud.store import Store

Name = tuple[str, int, str | None]


def listed(store: Store) -> list[Fault]:
    """All faults, oldest first."""
    return [Fault(**json.loads(text)) for text in store.faults()]


def add(store: Store, fault: Fault) -> Fault:
    """Make a fault hold from now on; returns it with its id."""
    with store.transaction():
        fault = replace(fault, id=store.next_id())
        store.save_fault(fault.id, json.dumps(fault.data()))
    return fault


def clear(store: Store, ids: list[int]) -> int:
    """Forget these faults (none named: all); returns how many there were."""
    known = [fault.id for fault in listed(store)]
    gone = [fault_id for fault_id in ids or known if fault_id in known]
    with store.transaction():
        for fault_id in gone:
            store.save_fault(fault_id, None)
    return len(gone)


def _take(store: Store, matches: Callable[[Fault], bool]) -> Fault | None:
    """The first fault that matches and hits; every match is counted, a hit uses up one of `count`."""
    if not store.faults():  # the common case costs no transaction
        return None
    with store.transaction():
        for fault in listed(store):
            if not matches(fault):
                continue
            hit, left = fault.hits(), fault.count
            if hit and left is not None:
                left -= 1
            after = replace(fault, matched=fault.matched + 1, count=left or None)
            store.save_fault(fault.id, None if left == 0 else json.dumps(after.data()))
            if hit:
                return fault
    return None


def _named(store: Store, resources: list[tuple[str, int]]) -> list[Name]:
    return [(kind, number, store.name_of(kind, number)) for kind, number in resources]


def for_request(store: Store, method: str, path: str) -> Fault | None:
    """The fault that hits this request; `path` is below /v1."""
    kind, number = faults.resource_of(path)
    names = _named(store, [(kind, number)] if number is not None else [])
    return _take(store, lambda fault: faults.matches_request(fault, method, path, names))


def for_action(store: Store, command: str, resources: list[tuple[str, int]]) -> Fault | None:
    """The fault that hits this action."""
    names = _named(store, resources)
    return _take(store, lambda fault: faults.matches_action(fault, command, names))
