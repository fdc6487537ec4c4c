"""Durable state of the local cloud: projects, tokens, objects and actions, in the file that database.py opens."""

from __future__ import annotations

import json
import secrets
import string
from typing import Any

from localcloud.database import Data as Data
from localcloud.database import Database
from localcloud.database import now as now


def new_token() -> str:
    """64 letters and digits: the only length the Terraform provider accepts."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(64))


class Store(Database):
    """The state as the API and the workers use it."""

    # -- projects and tokens ------------------------------------------------------------------------------------------

    def add_project(self, name: str) -> int:
        """Make an empty project and return its id. Names need not be unique."""
        with self.transaction():
            project = self.next_id()
            self._db.execute("INSERT INTO projects VALUES (?, ?)", (project, name))
        return project

    def projects(self) -> list[tuple[int, str]]:
        """All projects as (id, name), oldest first."""
        return [(int(i), str(name)) for i, name in self._rows("SELECT id, name FROM projects ORDER BY id")]

    def add_token(self, project: int, *, read_only: bool = False) -> str:
        """Issue a new token of the project and return it."""
        token = new_token()
        with self.transaction():
            self._db.execute("INSERT INTO tokens VALUES (?, ?, ?)", (token, project, int(read_only)))
        return token

    def tokens(self, project: int, *, read_only: bool = False) -> list[str]:
        """The project's read-write (or read-only) tokens, oldest first."""
        sql = "SELECT token FROM tokens WHERE project = ? AND read_only = ? ORDER BY rowid"
        return [str(row[0]) for row in self._rows(sql, project, int(read_only))]

    def find_token(self, token: str) -> tuple[int, bool] | None:
        """(project, read_only) of a token, None if there is no such token."""
        rows = self._peek("SELECT project, read_only FROM tokens WHERE token = ?", token)
        return (int(rows[0][0]), bool(rows[0][1])) if rows else None

    # -- what is sold out ----------------------------------------------------------------------------------------------

    def unavailable(self) -> set[tuple[str, str]]:
        """(server type, location) that can't be ordered now, in all projects."""
        return {(str(name), str(place)) for name, place in self._rows("SELECT * FROM unavailable")}

    def set_unavailable(self, rows: set[tuple[str, str]]) -> None:
        """Sell out exactly these."""
        with self.transaction():
            self._db.execute("DELETE FROM unavailable")
            self._db.executemany("INSERT INTO unavailable VALUES (?, ?)", sorted(rows))

    # -- faults (localcloud.fault_store says what they mean) -----------------------------------------------------------

    def faults(self) -> list[str]:
        """All faults as JSON, oldest first."""
        return [str(row[0]) for row in self._rows("SELECT data FROM faults ORDER BY id")]

    def has_faults(self) -> bool:
        """True if there is any that was committed."""
        return bool(self._peek("SELECT 1 FROM faults LIMIT 1"))

    def save_fault(self, fault_id: int, data: str | None) -> None:
        """Write a fault; None forgets it."""
        with self.transaction():
            self._db.execute("DELETE FROM faults WHERE id = ?", (fault_id,))
            if data is not None:
                self._db.execute("INSERT INTO faults VALUES (?, ?)", (fault_id, data))

    # -- objects ------------------------------------------------------------------------------------------------------

    def add(self, project: int, kind: str, data: Data) -> Data:
        """Store a new object; gives it "id" (if it has none) and "created", and returns it.

        Raises sqlite3.IntegrityError if the project has an object of that kind and name.
        """
        with self.transaction():
            data = {"id": data.get("id") or self.next_id(), "created": now(), **data}
            text = json.dumps(data)
            self._db.execute(
                "INSERT INTO objects VALUES (?, ?, ?, ?, ?)", (data["id"], project, kind, data["name"], text)
            )
            self._cache.put(project, kind, data["id"], text)
        return data

    def get(self, project: int, kind: str, object_id: int) -> Data | None:
        """The object, or None."""
        sql = "SELECT data FROM objects WHERE project = ? AND kind = ? AND id = ?"
        rows = self._rows(sql, project, kind, object_id) if abs(object_id) < 2**63 else []
        return json.loads(rows[0][0]) if rows else None

    def all(self, project: int | None, kind: str) -> list[Data]:
        """All objects of that kind in the project (None: in all projects), by id."""
        sql = "SELECT data FROM objects WHERE kind = ? AND (project = ? OR ? IS NULL) ORDER BY id"
        return [json.loads(row[0]) for row in self._rows(sql, kind, project, project)]

    def look(self, project: int | None, kind: str) -> list[Data]:
        """As `all`, but rows that are shared by all who ask: to read, never to change."""
        with self.reading():
            return list(self._cache.objects(project, kind).values())

    def look_at(self, project: int, kind: str, object_id: int) -> Data | None:
        """As `get`, but a row that is shared: to read, never to change."""
        with self.reading():
            return self._cache.objects(project, kind).get(object_id)

    def id_named(self, project: int, kind: str, name: str) -> int | None:
        """The id of the project's object of that kind and name."""
        rows = self._rows("SELECT id FROM objects WHERE project = ? AND kind = ? AND name = ?", project, kind, name)
        return int(rows[0][0]) if rows else None

    def save(self, kind: str, data: Data) -> None:
        """Write a changed object back. Raises sqlite3.IntegrityError if its new name is taken."""
        with self.transaction():
            sql = "UPDATE objects SET name = ?, data = ? WHERE id = ? AND kind = ?"
            text = json.dumps(data)
            if self._db.execute(sql, (data["name"], text, data["id"], kind)).rowcount:
                self._cache.put(None, kind, data["id"], text)

    def delete(self, kind: str, object_id: int) -> None:
        """Forget an object; its actions stay."""
        with self.transaction():
            self._db.execute("DELETE FROM objects WHERE id = ? AND kind = ?", (object_id, kind))
            self._cache.put(None, kind, object_id, None)

    def counts(self, kind: str) -> dict[int, int]:
        """Project -> how many objects of that kind it has, where there are any."""
        sql = "SELECT project, count(*) FROM objects WHERE kind = ? GROUP BY project"
        return {int(project): int(number) for project, number in self._rows(sql, kind)}

    def project_of(self, kind: str, object_id: int) -> int | None:
        """The project an object belongs to, None if it is gone."""
        rows = self._rows("SELECT project FROM objects WHERE kind = ? AND id = ?", kind, object_id)
        return int(rows[0][0]) if rows else None

    def name_of(self, kind: str, object_id: int) -> str | None:
        """The name of an object in any project, None if it is gone or has none."""
        sql = "SELECT name FROM objects WHERE kind = ? AND id = ?"
        rows = self._rows(sql, kind, object_id) if abs(object_id) < 2**63 else []
        return rows[0][0] if rows else None

    # -- actions ------------------------------------------------------------------------------------------------------

    def add_action(self, project: int, action: Data, job: Data | None, *, hidden: bool = False) -> Data:
        """Store an action (without "id") and the work behind it; without a job it must be finished already."""
        with self.transaction():
            action = {"id": self.next_id(), **action}
            row = (
                action["id"],
                project,
                action["status"],
                json.dumps(action),
                json.dumps(job) if job else None,
                hidden,
            )
            self._db.execute("INSERT INTO actions VALUES (?, ?, ?, ?, ?, ?)", row)
            for resource in action["resources"]:
                values = (resource["type"], resource["id"], action["id"])
                self._db.execute("INSERT OR IGNORE INTO action_resources VALUES (?, ?, ?)", values)
            self._added_jobs = self._added_jobs or job is not None
        return action

    def finish_action(self, action_id: int, error: str | None) -> None:
        """Turn a running action into success, or error with that message. Its job, secrets included, is forgotten."""
        with self.transaction():
            action = json.loads(self._rows("SELECT data FROM actions WHERE id = ?", action_id)[0][0])
            action.update(status="success", progress=100, finished=now())
            if error is not None:
                action.update(status="error", error={"code": "action_failed", "message": error})
            sql = "UPDATE actions SET status = ?, data = ?, job = NULL WHERE id = ?"
            self._db.execute(sql, (action["status"], json.dumps(action), action_id))

    def running_jobs(self) -> list[tuple[int, int, Data, Data]]:
        """Unfinished work as (action id, project, action, job), oldest first; shared: to read, never to change."""
        with self.reading():
            return self._cache.jobs()

    def actions(self, project: int, *, kind: str | None = None, resource: int | None = None) -> list[Data]:
        """The project's actions by id; of objects of one kind, or of one object."""
        sql = "SELECT data FROM actions WHERE project = ? AND hidden = 0"
        values: list[Any] = [project]
        if kind is not None:
            sql += " AND id IN (SELECT action FROM action_resources WHERE type = ? AND (resource = ? OR ? IS NULL))"
            values += [kind, resource, resource]
        return [json.loads(row[0]) for row in self._rows(sql + " ORDER BY id", *values)]

    def newest_actions(self, project: int, limit: int) -> list[Data]:
        """The project's last actions, newest first."""
        sql = "SELECT data FROM actions WHERE project = ? AND hidden = 0 ORDER BY id DESC LIMIT ?"
        return [json.loads(row[0]) for row in self._rows(sql, project, limit)]

    def action(self, project: int, action_id: int) -> Data | None:
        """One action, also of an object that is gone; None if there never was one."""
        sql = "SELECT data FROM actions WHERE project = ? AND id = ? AND hidden = 0"
        rows = self._rows(sql, project, action_id) if action_id < 2**63 else []
        return json.loads(rows[0][0]) if rows else None
