"""`make proof-pitr`: rows deleted by mistake at a known time come back; targets that can't be reached are refused.

Works on the local stack (or STACK=drill), which must be up, by the same `sekha-backup restore` as `make restore TO=...`
does. DATABASE=sqlite: that stack's database is SQLite.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import subprocess
import time
from collections.abc import Callable

from infra.restore_settings import POSTGRES, SQLITE
from ops.backups import TOOL
from ops.drill import fill as fill_postgres
from ops.drill import fill_sqlite, load
from ops.engine import LOCAL, OperatorError
from ops.local import engine_of
from ops.remote import Machine
from ops.show import json_line, say, table
from proof.entry import finish

ROWS = 5
STACK = os.environ.get("STACK") or LOCAL
DATABASE = os.environ.get("DATABASE") or POSTGRES
fill = fill_sqlite if DATABASE == SQLITE else fill_postgres


def moment(seconds: float = 0.0) -> str:
    """The time `seconds` from now, as a target."""
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)).isoformat()


def refused(machine: Machine, target: str) -> str:
    """What a restore to `target` says; it must fail. Raises OperatorError when it does not."""
    command = f"{TOOL} restore --confirm {STACK} --to {target}"
    done = subprocess.run(machine.command(command), capture_output=True, text=True, check=False, timeout=600)
    if done.returncode == 0:
        raise OperatorError(f"a restore to {target} was not refused")
    return done.stderr.strip().splitlines()[-1].removeprefix("sekha-backup restore: ")


def main() -> int:
    """Run the proof; 1 when a promise is broken."""
    outputs = engine_of(STACK).outputs()
    if outputs.get("caFile"):
        os.environ["SSL_CERT_FILE"] = str(outputs["caFile"])
    url, key, machine = str(outputs["url"]), str(outputs["apiKey"]), Machine(STACK, outputs)
    rows: list[tuple[str, str, bool]] = []

    def count() -> int:
        return int(fill.count(machine))

    def step(what: str, work: Callable[[], str], expected: str) -> None:
        say(f"pitr: {what}")
        found = work()
        rows.append((what, found, expected in found))

    machine.run("systemctl start sekha-first-backup.service sekha-backup@diff.service")
    for _ in range(ROWS):
        asyncio.run(load.create_one(url, key))
    before = count()
    if DATABASE == SQLITE:  # there a change counts from when it reached the bucket
        fill.archived_within(machine, mark=False)
    time.sleep(2)
    target = moment()
    time.sleep(2)
    fill.forget(machine)
    step("rows after the mistake", lambda: str(count()), "0")
    step(
        "a target before the first backup", lambda: refused(machine, "2020-01-01T00:00:00+00:00"),
        "is before the first backup was complete",
    )  # fmt: skip
    step("a target in the future", lambda: refused(machine, moment(3600)), "is in the future")
    step(
        "a target after the last commit", lambda: refused(machine, moment()),
        "is after the end of the archive: the last",
    )  # fmt: skip
    step("rows after the refusals: nothing changed", lambda: str(count()), "0")
    began = time.monotonic()
    machine.run(f"{TOOL} restore --confirm {STACK} --to {target}")
    step("rows after the restore", lambda: str(count()), str(before))
    rows.append(("seconds of the restore, service healthy again", f"{time.monotonic() - began:.1f}", True))
    print(
        table(
            ["point-in-time recovery", "found", "as promised"], [(a, b[:90], "yes" if c else "NO") for a, b, c in rows]
        )
    )
    json_line(
        {"found": {what: found for what, found, _ in rows}, "broken": [what for what, _, kept in rows if not kept]}
    )
    return 0 if all(kept for _, _, kept in rows) else 1


if __name__ == "__main__":
    finish(main)
