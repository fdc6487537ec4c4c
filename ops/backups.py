"""`make backup-now`, `backup-list`, `restore`: a stack's backups, by what its machine does with them."""

from __future__ import annotations

import json
import os
import shlex

from ops import confirm, verification
from ops.remote import Machine
from ops.show import json_line, say, table

KINDS = ("diff", "full", "incr")
TOOL = "/usr/local/sbin/sekha-backup"
LONGEST = 24 * 3600.0  # seconds a backup or restore may take


def backup_now(stack: str) -> None:
    """Make a backup now (KIND=diff, full or incr). One that is under way is joined: nothing is done twice at once."""
    kind = os.environ.get("KIND", "diff")
    confirm.one_of("KIND", kind, KINDS)
    machine = Machine(stack)
    say(f"{kind} backup of stack {stack}")
    unit = f"sekha-backup@{kind}.service"
    machine.run(f"systemctl start {unit} || {{ journalctl -u {unit} -n 20 -o cat >&2; exit 1; }}", timeout=LONGEST)
    backup_list(stack)


def backup_list(stack: str) -> None:
    """What the stack's repository holds, oldest first."""
    rows = json.loads(Machine(stack).run(f"{TOOL} list --json"))
    verified = verification.line(verification.settings_of(stack))
    print(
        table(
            ["backup", "type", "complete (UTC)", "database MB", "stored MB"],
            [(row["label"], row["kind"], row["stop"][:19], row["size"] / 1e6, row["stored"] / 1e6) for row in rows],
        )
    )
    print(verified)
    json_line({"stack": stack, "backups": rows, "verification": verified})


def restore(stack: str) -> None:
    """The guide's restore in one command: stop, restore (TO=time, else the newest), permissions, start, verify."""
    target = os.environ.get("TO", "")
    confirm.typed(
        stack, f"replaces the data of stack {stack} by {'those of ' + target if target else 'the newest backup'}"
    )
    command = f"{TOOL} restore --confirm {stack}" + (f" --to {shlex.quote(target)}" if target else "")
    Machine(stack).run(command, timeout=LONGEST, show=True)
    json_line({"stack": stack, "restored_to": target})
