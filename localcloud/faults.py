"""Faults the operator asked for: which request or action each one hits, and what it does there. Pure functions.

A fault is a row of the state file: it is there at once, also for a running daemon, and survives its restart until it
has been used `count` times or is cleared. Whether it hits is drawn from its seed and the number of times it matched, so
that a rehearsal is repeatable.
"""

from __future__ import annotations

import random
import re
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
    "failed_action": "actions end with status error and MESSAGE",
}
KINDS = (*ANSWERS, *CONNECTION, *ACTIONS)
# Only what changes something is refused by these unless --method says otherwise.
WRITES_ONLY = {"locked", "conflict", "resource_unavailable", "resource_limit_exceeded"}


@dataclass(frozen=True)
class Fault:
    """`resource` is KIND, KIND:ID or KIND:NAME; `path` a shell pattern of the path below /v1, `command` of a command.

    `count`: how often it still hits (None: for ever). `matched`: how often it could have. `seconds`: of waiting.
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
    return re.sub(r"s$", "", parts[0]), number


def matches_request(fault: Fault, method: str, path: str, names: Iterable[tuple[str, int, str | None]]) -> bool:
    """True if the fault is about this request. `names`: (kind, id, name) of the object the path is about."""
    if fault.on_action or (fault.path and not fnmatchcase(path, fault.path)):
        return False
    if fault.method:
        if fault.method.upper() != method:
            return False
    elif fault.kind in WRITES_ONLY and method in ("GET", "HEAD"):
        return False
    if not fault.resource:
        return True
    kind, wanted = _split(fault.resource)
    if not wanted:
        return resource_of(path)[0] == kind
    return any(k == kind and wanted in (str(i), name) for k, i, name in names)


def matches_action(fault: Fault, command: str, names: Iterable[tuple[str, int, str | None]]) -> bool:
    """True if the fault is about this action. `names`: (kind, id, name) of all objects it works on."""
    if not fault.on_action or (fault.command and not fnmatchcase(command, fault.command)):
        return False
    if not fault.resource:
        return True
    kind, wanted = _split(fault.resource)
    return any(k == kind and (not wanted or wanted in (str(i), name)) for k, i, name in names)


def _split(resource: str) -> tuple[str, str]:
    kind, _, wanted = resource.partition(":")
    return kind, wanted
