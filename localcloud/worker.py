"""The cloud behind the API: state, backend, and the workers that carry out actions in order, per object.

An action is stored together with its job. A job names the objects it works on; it starts when no earlier unfinished
job names any of them. So requests are accepted while something is going on, and after a restart the unfinished jobs
simply run again (backend calls are idempotent).
"""

from __future__ import annotations

import copy
import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud import fault_keeper, fault_points, fault_store
from localcloud.backend import Backend, BackendError
from localcloud.faults import Fault
from localcloud.samples import Samples, watch
from localcloud.store import Data, Store, now

LOG = logging.getLogger(__name__)
WORKERS = 8
RETRY = 1.0  # s until a job whose outcome could not be written is tried again

Resource = tuple[str, int]  # (type, id), e.g. ("server", 42)


@dataclass(frozen=True)
class Settings:
    """How strict the API is.

    `rate_limit`: requests an hour of a project; 0: they are only counted. `server_quota`: None is any number.
    """

    rate_limit: int = 0
    server_quota: int | None = None


@dataclass
class Scope:
    """One project's view of the cloud: objects and actions. What handlers and jobs work with."""

    cloud: Cloud
    project: int

    def all(self, kind: str) -> list[Data]:
        """All objects of the kind, by id."""
        return self.cloud.store.all(self.project, kind)

    def look(self, kind: str) -> list[Data]:
        """As `all`, but rows that are shared: to read, never to change."""
        return self.cloud.store.look(self.project, kind)

    def get(self, kind: str, object_id: int) -> Data | None:
        """The object, or None."""
        return self.cloud.store.get(self.project, kind, object_id)

    def add(self, kind: str, data: Data) -> Data:
        """Store a new object and return it with its id."""
        return self.cloud.store.add(self.project, kind, data)

    def save(self, kind: str, data: Data) -> None:
        """Write a changed object back."""
        self.cloud.store.save(kind, data)

    def delete(self, kind: str, data: Data) -> None:
        """Forget an object."""
        self.cloud.store.delete(kind, data["id"])

    def act(
        self, command: str, resources: list[Resource], operation: str, args: Data | None = None,
        *, also: list[Resource] | None = None, hidden: bool = False,
    ) -> Data:  # fmt: skip
        """Queue work and return its action. It waits for earlier work on `resources` and on what `also` names.

        `operation` names an entry of localcloud.api.operations, `args` is its JSON. Hidden work has no action to see.
        """
        keys = [list(key) for key in [*resources, *(also or [])]]
        job = {"operation": operation, "args": args or {}, "keys": keys}
        return self.cloud.store.add_action(self.project, _action(command, resources), job, hidden=hidden)

    def acted(self, command: str, resources: list[Resource]) -> Data:
        """Record an action that is done already. Raises FailedAtOnce if a fault says that it fails."""
        fault = fault_store.for_action(self.cloud.store, command, resources)
        if fault and fault.kind == "failed_action":
            raise FailedAtOnce(self.project, command, resources, fault)
        if fault:
            return self.act(command, resources, "wait", {"seconds": fault.seconds})
        action = {**_action(command, resources), "status": "success", "progress": 100, "finished": now()}
        return self.cloud.store.add_action(self.project, action, None)

    def unfinished(self, kind: str, object_id: int) -> set[str]:
        """Commands of the actions that are queued or running for an object."""
        key = [kind, object_id]
        return {action["command"] for _, _, action, job in self.cloud.store.running_jobs() if key in job["keys"]}


class FailedAtOnce(Exception):  # noqa: N818 - not an error of the program
    """A fault fails an action whose effect is part of the request: nothing of it may stay but the failed action."""

    def __init__(self, project: int, command: str, resources: list[Resource], fault: Fault) -> None:
        super().__init__(fault.message)
        self.project, self.command, self.resources, self.fault = project, command, resources, fault

    def record(self, store: Store) -> Data:
        """Store the failed action and return it; to be called after the roll-back. Counts the fault again."""
        with store.transaction():
            fault_store.for_action(store, self.command, self.resources)
            error = {"code": "action_failed", "message": self.fault.message}
            ended = {"status": "error", "progress": 100, "finished": now(), "error": error}
            return store.add_action(self.project, {**_action(self.command, self.resources), **ended}, None)


def _action(command: str, resources: list[Resource]) -> Data:
    return {
        "command": command,
        "status": "running",
        "progress": 0,
        "started": now(),
        "finished": None,
        "resources": [{"id": object_id, "type": kind} for kind, object_id in resources],
        "error": None,
    }


def _nothing(scope: Scope, args: Data) -> None:
    """The default of an operation's steps."""


@dataclass(frozen=True)
class Operation:
    """The work behind an action. `begin` and `done`/`failed` change state in a transaction, `work` calls the backend.

    `done` runs in the transaction that turns the action into success, so its effects are visible with it.
    """

    work: Callable[[Scope, Data], None] = _nothing
    begin: Callable[[Scope, Data], None] = _nothing
    done: Callable[[Scope, Data], None] = _nothing
    failed: Callable[[Scope, Data], None] = _nothing


@dataclass
class Cloud:
    """State, backend and workers. `start()` resumes what was unfinished, `stop()` waits for the running jobs."""

    store: Store
    backend: Backend
    settings: Settings = field(default_factory=Settings)
    issue: Callable[[list[str]], tuple[str, str]] | None = None  # domain names -> certificate chain and key, PEM

    def __post_init__(self) -> None:
        self.samples = Samples()
        self._wake = threading.Condition()
        self._busy: set[int] = set()
        self._stopping = False
        self._pause = threading.Event()  # set by stop(), to end a pause
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the workers; jobs left over from the last run go first."""
        self._stopping = False
        self._pause.clear()
        self.store.on_jobs = self._notify
        self._threads = [threading.Thread(target=self._work, name=f"worker-{n}", daemon=True) for n in range(WORKERS)]
        keeper = fault_keeper.Keeper(self)
        self._threads.append(threading.Thread(target=keeper.run, args=(self._pause,), daemon=True, name="faults"))
        watcher = threading.Thread(target=watch, args=(self.samples, self, self._pause), name="samples", daemon=True)
        self._threads.append(watcher)
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 60) -> None:
        """Let the running jobs end (at most `timeout` seconds each) and stop; queued ones stay for the next start."""
        with self._wake:
            self._stopping = True
            self._pause.set()
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout)

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify_all()

    def _next(self) -> tuple[int, int, Data, Data] | None:
        """The oldest job that no earlier unfinished job stands in the way of."""
        taken: set[tuple[Any, ...]] = set()
        for row in self.store.running_jobs():
            keys = {tuple(key) for key in row[3]["keys"]}
            if row[0] not in self._busy and not keys & taken:
                return copy.deepcopy(row)
            taken |= keys
        return None

    def _work(self) -> None:
        while True:
            with self._wake:
                row = None
                while not self._stopping and (row := self._next()) is None:
                    self._wake.wait()
                if row is None or self._stopping:
                    return
                self._busy.add(row[0])
            try:
                self._run(*row)
            except (
                sqlite3.OperationalError
            ):  # the state can't be written, mostly for lack of disk space: the job stays, try again
                LOG.exception("action %d can't be recorded; trying again", row[0])
                self._pause.wait(RETRY)
            finally:
                with self._wake:
                    self._busy.discard(row[0])
                    self._wake.notify_all()

    def _run(self, action_id: int, project: int, action: Data, job: Data) -> None:
        from localcloud.api.operations import OPERATIONS

        scope, args, error = Scope(self, project), job["args"], None
        operation = OPERATIONS[job["operation"]]
        try:
            with self.store.transaction():
                operation.begin(scope, args)
            fault_points.before_work(self.store, action, self._pause)
            if job["operation"] == "wait":
                self._pause.wait(args["seconds"])
            operation.work(scope, args)
            fault_points.after_work(self.store, action, self._pause)
        except BackendError as exception:
            error = str(exception)
        except sqlite3.OperationalError:
            raise
        except Exception as exception:  # a bug must fail the action, not stop the worker
            LOG.exception("action %d (%s)", action_id, action["command"])
            error = f"internal error: {exception}"
        if error is not None:
            LOG.warning("action %d (%s) failed: %s", action_id, action["command"], error)
        try:
            with self.store.transaction():
                (operation.done if error is None else operation.failed)(scope, args)
                self.store.finish_action(action_id, error)
        except sqlite3.OperationalError:
            raise
        except Exception as exception:
            LOG.exception("action %d (%s)", action_id, action["command"])
            self.store.finish_action(action_id, f"internal error: {exception}")
