"""What was read from the state file, kept parsed for readers: decoding JSON was nearly all of what a list cost.

Rows that come from here are shared by all who ask: to read, never to change. The caller holds the store's lock
and has `check` called at the start of whatever it holds it for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Data = dict[str, Any]
Job = tuple[int, int, Data, Data]  # action id, project, action, job


class RowCache:
    """Objects by project and kind, and the unfinished jobs. `rows` runs SQL."""

    def __init__(self, rows: Callable[..., list[Any]]) -> None:
        self._rows = rows
        self._objects: dict[tuple[int | None, str], dict[int, Data]] = {}
        self._jobs: dict[int, Job] = {}
        self._version: int | None = None

    def check(self) -> None:
        """Forget everything if another process has written to the file."""
        version = int(self._rows("PRAGMA data_version")[0][0])
        if version != self._version:
            self.forget()
            self._version = version

    def forget(self) -> None:
        """Anything may have changed."""
        self._objects.clear()
        self._jobs.clear()

    def put(self, project: int | None, kind: str, number: int, text: str | None) -> None:
        """An object (JSON) was added or, project None, changed; text None: it is gone."""
        for (owner, name), rows in list(self._objects.items()):
            if name != kind or not (number in rows or owner is None or owner == project):
                continue
            if text is None:
                rows.pop(number, None)
            elif number in rows or number > next(reversed(rows), 0):
                rows[number] = json.loads(text)
            else:  # not the last one: read them in their order
                del self._objects[owner, name]

    def objects(self, project: int | None, kind: str) -> dict[int, Data]:
        """id -> object of that kind in the project (None: in all projects), by id."""
        key = (project, kind)
        if key not in self._objects:
            sql = "SELECT id, data FROM objects WHERE kind = ? AND (project = ? OR ? IS NULL) ORDER BY id"
            self._objects[key] = {int(i): json.loads(text) for i, text in self._rows(sql, kind, project, project)}
        return self._objects[key]

    def jobs(self) -> list[Job]:
        """Unfinished work, oldest first. A job does not change until it is finished."""
        sql = "SELECT id FROM actions WHERE status = 'running' AND job IS NOT NULL ORDER BY id"
        ids = [int(row[0]) for row in self._rows(sql)]
        self._jobs = {number: self._jobs.get(number) or self._job(number) for number in ids}
        return list(self._jobs.values())

    def _job(self, number: int) -> Job:
        ((project, data, job),) = self._rows("SELECT project, data, job FROM actions WHERE id = ?", number)
        return number, int(project), json.loads(data), json.loads(job)
