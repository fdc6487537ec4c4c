"""`sekha-backup COMMAND`: what units, the release and the operator call on a machine."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys

from sekha_backup import (
    bring_up,
    check,
    copies,
    files,
    lease,
    machine,
    nudge,
    repository,
    restore,
    sqlite,
    verify,
    verify_postgres,
    verify_sqlite,
)
from sekha_backup.machine import RefusedError


def now(kind: str) -> None:
    """Make a backup (`first`: a full one, unless there is any), and note in the lease that this stack has one."""
    holder = lease.of_this_machine()
    state, _ = holder.look()
    if state and state.get("holder") != holder.holder:
        raise RefusedError(f"the lease is that of {state.get('node')} ({state.get('holder')}): not writing its backups")
    place = machine.own_place()
    if kind == "first":
        if copies.backups(place) if machine.is_sqlite() else repository.backups():
            return
        kind = "full"
    if machine.is_sqlite():
        lease.say(f"copied: {json.dumps(copies.make(place))}")
    else:
        # Half of the processors: the other half is for people. A restore, when nobody is served, takes all.
        processes = f"--process-max={max(1, (os.cpu_count() or 1) // 2)}"
        repository.back_up(kind, processes, "--log-level-console=info")
    files.save(place)
    if not state.get("data"):
        holder.renew(data=True)


def show(as_json: bool) -> None:
    """All backups, oldest first."""
    found = sqlite.backups(machine.own_place()) if machine.is_sqlite() else repository.backups()
    rows = [dataclasses.asdict(backup) for backup in found]
    if as_json:
        print(json.dumps(rows, default=str))
        return
    print(f"{'backup':34} {'type':5} {'complete (UTC)':20} {'database MB':>12} {'stored MB':>10}")
    for row in rows:
        figures = f"{row['size'] / 1e6:12.1f} {row['stored'] / 1e6:10.1f}"
        print(f"{row['label']:34} {row['kind']:5} {row['stop']:%Y-%m-%d %H:%M:%S}  {figures}")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="sekha-backup", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True)
    for name in ("bring-up", "stanza", "nudge", "hold", "release", "files", "verify", "clean", "check"):
        commands.add_parser(name)
    commands.add_parser("now").add_argument("kind", choices=("first", "full", "diff", "incr", "copy"))
    commands.add_parser("list").add_argument("--json", action="store_true")
    commands.add_parser("trial").add_argument("--to", default="")
    back = commands.add_parser("restore")
    back.add_argument("--to", default="", help="a time, e.g. 2026-11-23T14:05:00+00:00; without it the newest state")
    back.add_argument("--confirm", default="", help="the stack's name, because the present data is replaced")
    return made


def subject() -> verify.Subject:
    """What a verification restores and looks at."""
    return verify_sqlite.Sqlite() if machine.is_sqlite() else verify_postgres.Postgres()


def main() -> int:
    """Run one command; 1 with one line saying what to do when it is refused."""
    options = parser().parse_args()
    os.umask(0o022)
    try:
        match options.command:
            case "bring-up":
                bring_up.bring_up(sqlite.SQLITE_DATABASE if machine.is_sqlite() else restore.POSTGRES)
            case "stanza":
                repository.know_main()
            case "nudge":
                nudge.nudge()
            case "hold":
                lease.hold()
            case "release":
                lease.release()
            case "files":
                if files.save(machine.own_place()):
                    lease.say("Caddy's files are in the bucket")
            case "now":
                now(options.kind)
            case "list":
                show(options.json)
            case "trial":
                with verify.alone():  # they restore into the same place
                    print(json.dumps((sqlite.trial if machine.is_sqlite() else restore.trial)(options.to)))
            case "verify":
                os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[::2])  # every other processor is for people
                verify.verify(subject())
            case "clean":
                with verify.alone():
                    subject().clean()
            case "check":
                check.check()
            case "restore":
                (sqlite.in_place if machine.is_sqlite() else restore.in_place)(options.to, options.confirm)
    except (RefusedError, OSError, lease.LostError, subprocess.SubprocessError) as error:
        print(f"sekha-backup {options.command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
