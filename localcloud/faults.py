"""Faults the operator asked for: which request or action each one hits, and what it does there. Pure functions.

A fault is a row of the state file: it is there at once, also for a running daemon, and survives its restart until it
has been used `count` times or is cleared. Whether it hits is drawn from its seed and the number of times it matched, so
that a rehearsal is repeatable.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

Data = dict[str, Any]

# kind -> (HTTP status, error code, message): answered instead of carrying out the request
ANSWERS = {
    "rate_limit_exceeded": (429, "rate_limit_exceeded", "limit of 3600 requests per hour reached"),
    "unavailable": (503, "unavailable", "service is temporarily unavailable"),
    "server_error": (500, "server_error", "internal server error"),
    "timeout": (504, "timeout", "the request timed out"),
    "bad_gateway": (502, "bad_gateway", "bad gateway"),
    "maintenance": (503, "maintenance", "the API is under maintenance"),
    "locked": (423, "locked", "cannot perform operation because resource is locked"),
    "conflict": (409, "conflict", "resource has changed during request"),
    "resource_unavailable": (412, "resource_unavailable", "the requested resource is currently unavailable"),
    "resource_limit_exceeded": (403, "resource_limit_exceeded", "resource limit exceeded"),
}
CONNECTION = {
    "slow": "the answer comes SECONDS late",
    "hang": "no answer: the connection is cut after SECONDS",
    "cut": "the connection is cut; the request was not carried out",
    "cut_after": "the request is carried out, the connection is cut in the answer",
}
ACTIONS = {
    "slow_action": "actions take SECONDS more",
    "late_action": "actions end SECONDS after their work is done",
    "failed_action": "actions end with status error and MESSAGE",
}
# What stays as long as the fault does, and is undone when it is over (localcloud.fault_keeper).
HOST = {
    "server_crash": "running servers lose their power and stay off; with --probability a draw every SECONDS",
    "host_loss": "the servers' host is gone: off, status unknown, power actions fail; they boot when it is back",
    "partition": "nothing passes between the servers or load balancers and those of --peer (none: any other)",
    "volume_loss": "every access to the volumes is an I/O error",
}
OBJECT_STORE = {
    "object_store_refused": "connections to the object store are refused",
    "object_store_unavailable": "the object store answers 503 ServiceUnavailable",
    "object_store_hang": "the object store doesn't answer: the connection is cut after SECONDS",
}
KINDS = (*ANSWERS, *CONNECTION, *ACTIONS, *HOST, *OBJECT_STORE)
# The kinds of objects that each can hit.
HITS = {"server_crash": ("server",), "host_loss": ("server",), "volume_loss": ("volume",)}
NEED_HOST = {  # actions that can't be carried out while the server's host is gone
    "start_server", "stop_server", "reboot_server", "reset_server", "shutdown_server", "rebuild_server",
    "change_server_type", "create_image", "reset_password", "enable_rescue", "attach_volume", "detach_volume",
}  # fmt: skip
MEMBERS = ("server", "load_balancer")  # of a partition
# Only what changes something is refused by these unless --method says otherwise.
WRITES_ONLY = {"locked", "conflict", "resource_unavailable", "resource_limit_exceeded"}


@dataclass(frozen=True)
class Fault:
    """`resource` is KIND, KIND:ID, KIND:NAME or a list KIND:A,B; `path` a shell pattern of the path below /v1.

    `command`: a shell pattern of an action's command. `count`: how often it still hits, of what stays: how many objects
    at most (None: any number). `matched`: how often it could have. `seconds`: of waiting. `until`: Unix time at which
    it is over. `victims`: ids of the objects it has hit, None before it was carried out; `restart`: those of them that
    ran. `holds`: carried out whole. `cleared`: to be undone.
    """

    kind: str
    id: int = 0
    path: str | None = None
    method: str | None = None
    resource: str | None = None
    command: str | None = None
    probability: float = 1.0
    seed: int = 0
    count: int | None = None
    seconds: float = 5.0
    message: str = "fault injected by localcloud"
    matched: int = 0
    peer: str | None = None
    until: float | None = None
    victims: tuple[int, ...] | None = None
    restart: tuple[int, ...] = ()
    holds: bool = False
    cleared: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; there are: {', '.join(KINDS)}")
        if not 0 < self.probability <= 1:
            raise ValueError(f"probability {self.probability:g}: must be above 0 and at most 1")
        if self.count is not None and self.count < 1:
            raise ValueError(f"count {self.count}: must be at least 1")
        if not 0 <= self.seconds <= 3600:
            raise ValueError(f"seconds {self.seconds:g}: must be from 0 to 3600")
        if self.on_action and (self.path or self.method):
            raise ValueError(f"{self.kind} hits actions: choose them by resource or command, not by path or method")
        if not self.on_action and self.command:
            raise ValueError(f"{self.kind} hits requests: choose them by path, method or resource, not by command")
        if self.stays:
            self._check_staying()
        elif self.peer:
            raise ValueError(f"{self.kind} has no peer; a partition has")

    def _check_staying(self) -> None:
        if self.path or self.method:
            raise ValueError(f"{self.kind} hits no requests: choose by resource, not by path or method")
        if self.kind in OBJECT_STORE and self.resource:
            raise ValueError(f"{self.kind}: there is one object store; no resource can be chosen")
        if self.peer and self.kind != "partition":
            raise ValueError(f"{self.kind} has no peer; a partition has")
        if self.kind in HOST:
            allowed = HITS.get(self.kind, MEMBERS)
            for wish in (self.resource, self.peer):
                if (wish or allowed[0]).partition(":")[0] not in allowed:
                    raise ValueError(f"{self.kind} hits {' or '.join(allowed)}, not {wish}")
        if self.kind == "partition" and not self.resource:
            raise ValueError("partition: which machines? --resource server:NAME,NAME")

    @property
    def stays(self) -> bool:
        """True if it is a state of machines, volumes or the object store, that is undone when the fault is over."""
        return self.kind in HOST or self.kind in OBJECT_STORE

    def over(self) -> bool:
        """True if its time is up, or it was cleared."""
        return self.cleared or (self.until is not None and time.time() >= self.until)

    @property
    def on_action(self) -> bool:
        """True if it hits actions, False if requests."""
        return self.kind in ACTIONS

    def hits(self) -> bool:
        """The draw of this match: the same for the same seed and number of matches before."""
        return self.probability >= 1 or random.Random(f"{self.seed}:{self.matched}").random() < self.probability  # noqa: S311

    def data(self) -> Data:
        """As JSON."""
        return asdict(self)


def resource_of(path: str) -> tuple[str, int | None]:
    """(kind, id) a path below /v1 is about: "/servers/7/actions/reboot" -> ("server", 7), "/networks" has no id."""
    parts = path.strip("/").split("/")
    number = int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else None
    return re.sub(r"(?<=x)es$|s$", "", parts[0]), number  # storage_boxes, servers


def matches_request(fault: Fault, method: str, path: str, names: Iterable[tuple[str, int, str | None]]) -> bool:
    """True if the fault is about this request. `names`: (kind, id, name) of the object the path is about."""
    if fault.on_action or fault.stays or (fault.path and not fnmatchcase(path, fault.path)):
        return False
    if fault.method:
        if fault.method.upper() != method:
            return False
    elif fault.kind in WRITES_ONLY and method in ("GET", "HEAD"):
        return False
    if not fault.resource:
        return True
    if ":" not in fault.resource:
        return resource_of(path)[0] == fault.resource
    return any(is_meant(fault.resource, *named) for named in names)


def matches_action(fault: Fault, command: str, names: Iterable[tuple[str, int, str | None]]) -> bool:
    """True if the fault is about this action. `names`: (kind, id, name) of all objects it works on."""
    if not fault.on_action or (fault.command and not fnmatchcase(command, fault.command)):
        return False
    if not fault.resource:
        return True
    return any(is_meant(fault.resource, *named) for named in names)


def is_meant(resource: str, kind: str, number: int, name: str | None) -> bool:
    """True if `resource` (KIND, KIND:ID or KIND:NAME, several by commas) means the object."""
    wanted_kind, _, wanted = resource.partition(":")
    return wanted_kind == kind and (not wanted or bool({str(number), name} & set(wanted.split(","))))
