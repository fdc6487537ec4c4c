"""`python -m ops COMMAND --stack STACK`: what the Makefile's targets call."""

from __future__ import annotations

import argparse
import json
import os
import sys

from ops import backups, comparison, compose, confirm, docker_leftovers, recover, up, verification
from ops.engine import LOCAL, ON_LOCAL_CLOUD, POLICIES, OperatorError
from ops.init import init
from ops.local import engine_of
from ops.rebuild import rebuild
from ops.rotate import rotate
from ops.secret import secret
from ops.show import json_line, say
from ops.status import status
from ops.undelete import undelete


def preview(stack: str) -> None:
    """Show what `up` would change. With EXPECT_NO_CHANGES=1 any change is a failure."""
    expect = ["--expect-no-changes"] if os.environ.get("EXPECT_NO_CHANGES") == "1" else []
    if comparison.is_comparison(stack):
        comparison.run(engine_of(stack), "preview")
        return
    stack_engine = up.prepared(engine_of(stack))
    up.tell_cost(stack_engine, stack_engine.outputs())
    for line in recover.differences(stack_engine):
        say(line)
    stack_engine.run("preview", "--refresh", "--diff", *POLICIES, *expect)


def drift(stack: str) -> None:
    """Fail when the cloud does not hold what the code says. Writes nothing: no stack is made, no lock is removed."""
    stack_engine = engine_of(stack)
    stack_engine.require_config()
    up.carry_wheels(stack_engine)
    for line in recover.differences(stack_engine):
        say(line)
    stack_engine.run("preview", "--refresh", "--diff", "--expect-no-changes")


def destroy(stack: str) -> None:
    """Delete the stack's resources. Anything but `local` asks for the stack's name, typed (or CONFIRM=STACK)."""
    if stack not in ON_LOCAL_CLOUD:
        confirm.typed(stack, f"deletes all that stack {stack!r} has")
    engine = up.prepared(engine_of(stack))
    docker_leftovers.clear(engine)
    engine.run("destroy", "--yes", "--skip-preview", *recover.recover(engine, destroying=True))
    recover.check_destroyed(engine)


def outputs(stack: str) -> None:
    """Print the stack's outputs as one JSON object, secrets included."""
    print(json.dumps(engine_of(stack).outputs(), sort_keys=True))


COMMANDS = {
    "up": up.up,
    "init": init,
    "preview": preview,
    "outputs": outputs,
    "destroy": destroy,
    "drift": drift,
    "status": status,
    "secret": secret,
    "rotate": rotate,
    "rebuild": rebuild,
    "backup-now": backups.backup_now,
    "backup-list": backups.backup_list,
    "verify-backup": verification.verify_backup,
    "restore": backups.restore,
    "undelete-backups": undelete,
    "compose": compose.write,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it worked, 1 with one line saying what to do otherwise."""
    parser = argparse.ArgumentParser(prog="ops", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--stack", default=LOCAL)
    options = parser.parse_args(arguments)
    try:
        COMMANDS[options.command](options.stack)
    except OperatorError as error:
        print(f"sekha: {error}", file=sys.stderr)
        json_line({"ok": False, "error": str(error)})
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
