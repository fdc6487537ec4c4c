"""`localcloud fault add|list|clear`: tell the local cloud to fail, also while it runs."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from localcloud import fault_store
from localcloud.faults import ACTIONS, ANSWERS, CONNECTION, Fault
from localcloud.store import Store


def add_parser(commands: Any) -> None:
    """Add the command `fault` to localcloud's."""
    fault = commands.add_parser("fault", help="let requests and actions fail: add, list, clear")
    verbs = fault.add_subparsers(dest="verb", required=True, metavar="VERB")
    kinds = [f"{kind}: HTTP {status}" for kind, (status, _, _) in ANSWERS.items()]
    kinds += [f"{kind}: {text}" for kind, text in {**CONNECTION, **ACTIONS}.items()]
    new = verbs.add_parser(
        "add", help="a fault from now on", epilog="KIND\n  " + "\n  ".join(kinds),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    new.add_argument("kind", metavar="KIND", choices=[*ANSWERS, *CONNECTION, *ACTIONS])
    new.add_argument("--resource", metavar="KIND[:ID|NAME]", help="of this object, or of all of the kind: server:web-1")
    new.add_argument("--path", metavar="PATTERN", help="requests to this path below /v1: '/servers/*/actions/poweron'")
    new.add_argument("--method", help="requests with this method: POST")
    new.add_argument(
        "--command", dest="action_command", metavar="PATTERN", help="actions with this command: 'create_*'"
    )
    new.add_argument("--probability", type=float, default=1.0, metavar="P", help="how often it hits what it fits")
    new.add_argument("--seed", type=int, default=0, help="of the draws: the same seed, the same hits")
    new.add_argument("--count", type=int, metavar="N", help="gone after so many hits")
    new.add_argument("--seconds", type=float, default=5.0, help="of slow, hang, slow_action; 5 if not given")
    new.add_argument("--message", default=Fault.message, help="of failed_action")
    verbs.add_parser("list", help="the faults there are; JSON=1: one JSON object as the last line")
    verbs.add_parser("clear", help="forget faults").add_argument("ids", nargs="*", type=int, metavar="ID")


def run(store: Store, options: argparse.Namespace) -> str:
    """Carry out the command; returns what to print. Raises ValueError for a fault that makes no sense."""
    if options.verb == "add":
        added = fault_store.add(store, Fault(
            kind=options.kind, path=options.path, method=options.method, resource=options.resource,
            command=options.action_command, probability=options.probability, seed=options.seed, count=options.count,
            seconds=options.seconds, message=options.message,
        ))  # fmt: skip
        return f"fault {added.id}: {added.kind} {where(added)}"
    if options.verb == "clear":
        if unknown := set(options.ids) - {fault.id for fault in fault_store.listed(store)}:
            raise ValueError(f"no fault {', '.join(map(str, sorted(unknown)))}; `localcloud fault list` shows them")
        return f"{fault_store.clear(store, options.ids)} cleared"
    return table(fault_store.listed(store))


def where(fault: Fault) -> str:
    """What it hits, in words."""
    wishes = {"resource": fault.resource, "path": fault.path, "method": fault.method, "command": fault.command}
    return ", ".join(f"{name} {value}" for name, value in wishes.items() if value) or "everywhere"


def table(faults: list[Fault]) -> str:
    """The list as a table; with JSON=1 a JSON object follows."""
    lines = [f"{'ID':>6}  {'FAULT':<24} {'P':>5} {'SEED':>5} {'LEFT':>5} {'MATCHED':>7}  WHERE"]
    for f in faults:
        left = "" if f.count is None else str(f.count)
        lines.append(f"{f.id:>6}  {f.kind:<24} {f.probability:>5g} {f.seed:>5} {left:>5} {f.matched:>7}  {where(f)}")
    if os.environ.get("JSON") == "1":
        lines.append(json.dumps({"faults": [fault.data() for fault in faults]}))
    return "\n".join(lines)
