"""What an action undergoes before its work and after it, when a fault hits it (localcloud.faults)."""

from __future__ import annotations

import threading

from localcloud import fault_store
from localcloud.backend import BackendError
from localcloud.store import Data, Store


def _resources(action: Data) -> list[tuple[str, int]]:
    return [(row["type"], row["id"]) for row in action["resources"]]


def before_work(store: Store, action: Data, stopping: threading.Event) -> None:
    """Wait as long as a fault says, unless the daemon stops. Raises BackendError if the action is to fail."""
    resources = _resources(action)
    if fault_store.host_lost(store, action["command"], resources):
        raise BackendError("the server's host is not available")
    if fault := fault_store.for_action(store, action["command"], resources, ("slow_action", "failed_action")):
        if fault.kind == "failed_action":
            raise BackendError(fault.message)
        stopping.wait(fault.seconds)


def after_work(store: Store, action: Data, stopping: threading.Event) -> None:
    """Wait as long as a fault says: everything is done and nobody knows."""
    if fault := fault_store.for_action(store, action["command"], _resources(action), ("late_action",)):
        stopping.wait(fault.seconds)
