"""The faults in the state file: add, list, clear, and take the one that hits a request or an action."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from localcloud import faults
from localcloud.faults import Fault
from localcloud.store import Store

Name = tuple[str, int, str | None]


def every(store: Store) -> list[Fault]:
    """All faults on record, oldest first; also those that are over and not undone yet."""
    return [_read(text) for text in store.faults()]


def _read(text: str) -> Fault:
    row: dict[str, Any] = json.loads(text)
    for name in ("victims", "restart"):
        row[name] = None if row.get(name) is None else tuple(row[name])
    return Fault(**{**row, "restart": row["restart"] or ()})


def listed(store: Store) -> list[Fault]:
    """All faults that hold, oldest first."""
    return [fault for fault in every(store) if not fault.over()]


def save(store: Store, fault: Fault) -> None:
    """Write a changed fault back."""
    store.save_fault(fault.id, json.dumps(fault.data()))


def update(store: Store, fault_id: int, **changes: Any) -> None:
    """Change these fields of a fault, if it is still there."""
    with store.transaction():
        for fault in every(store):
            if fault.id == fault_id:
                save(store, replace(fault, **changes))


def add(store: Store, fault: Fault) -> Fault:
    """Make a fault hold from now on; returns it with its id."""
    with store.transaction():
        fault = replace(fault, id=store.next_id())
        store.save_fault(fault.id, json.dumps(fault.data()))
    return fault


def clear(store: Store, ids: list[int]) -> int:
    """Forget these faults (none named: all); returns how many there were. What has to be undone is marked for that."""
    with store.transaction():
        gone = [fault for fault in listed(store) if not ids or fault.id in ids]
        for fault in gone:
            if fault.stays:
                save(store, replace(fault, cleared=True))
            else:
                store.save_fault(fault.id, None)
    return len(gone)


def undone(store: Store, ids: list[int]) -> bool:
    """True if nothing is left of these faults (none named: of any that is over)."""
    return not any(fault.over() and (not ids or fault.id in ids) and fault.stays for fault in every(store))


def carried_out(store: Store, fault_id: int) -> bool:
    """True if a fault that stays has been carried out; it may be gone already."""
    return all(fault.holds or not fault.stays for fault in every(store) if fault.id == fault_id)


def lost_servers(store: Store) -> set[int]:
    """Servers whose host is gone."""
    if not store.has_faults():
        return set()
    return {n for fault in listed(store) if fault.kind == "host_loss" for n in fault.victims or ()}


def host_lost(store: Store, command: str, resources: list[tuple[str, int]]) -> bool:
    """True if the action needs a machine whose host is gone."""
    lost = lost_servers(store) if command in faults.NEED_HOST else set()
    return any(kind == "server" and number in lost for kind, number in resources)


def _take(store: Store, matches: Callable[[Fault], bool]) -> Fault | None:
    """The first fault that matches and hits; every match is counted, a hit uses up one of `count`."""
    if not store.has_faults():  # the common case costs no transaction
        return None
    with store.transaction():
        for fault in listed(store):
            if not matches(fault):
                continue
            hit, left = fault.hits(), fault.count
            if hit and left is not None:
                left -= 1
            if left == 0 and not fault.stays:
                store.save_fault(fault.id, None)
            else:
                after = replace(fault, matched=fault.matched + 1, count=left or None, cleared=left == 0)
                save(store, after)
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


def for_action(
    store: Store, command: str, resources: list[tuple[str, int]], kinds: Collection[str] = faults.ACTIONS
) -> Fault | None:
    """The fault of these kinds that hits this action."""
    names = _named(store, resources)
    return _take(store, lambda fault: fault.kind in kinds and faults.matches_action(fault, command, names))


def for_object_store(store: Store) -> Fault | None:
    """The fault that hits this connection to the object store."""
    return _take(store, lambda fault: fault.kind in faults.OBJECT_STORE)
