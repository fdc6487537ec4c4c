"""`localcloud fault add|list|clear`: tell the local cloud to fail, also while it runs."""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

from localcloud import fault_store
from localcloud.faults import ACTIONS, ANSWERS, CONNECTION, HOST, KINDS, OBJECT_STORE, Fault, is_meant
from localcloud.store import Store

SETTLE = 20.0  # s for the daemon to carry a fault out; stopping machines takes the longest


def add_parser(commands: Any) -> None:
    """Add the command `fault` to localcloud's."""
    fault = commands.add_parser("fault", help="let requests and actions fail: add, list, clear")
    verbs = fault.add_subparsers(dest="verb", required=True, metavar="VERB")
    kinds = [f"{kind}: HTTP {status}" for kind, (status, _, _) in ANSWERS.items()]
    kinds += [f"{kind}: {text}" for kind, text in {**CONNECTION, **ACTIONS, **HOST, **OBJECT_STORE}.items()]
    new = verbs.add_parser(
        "add", help="a fault from now on", epilog="KIND\n  " + "\n  ".join(kinds),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    new.add_argument("kind", metavar="KIND", choices=KINDS)
    new.add_argument(
        "--resource",
        metavar="KIND[:NAME,NAME]",
        help="of these objects (names or ids), or of all of the kind: server:web-1",
    )
    new.add_argument("--peer", metavar="KIND[:NAME,NAME]", help="the other side of a partition: server:db-1,db-2")
    new.add_argument("--path", metavar="PATTERN", help="requests to this path below /v1: '/servers/*/actions/poweron'")
    new.add_argument("--method", help="requests with this method: POST")
    new.add_argument(
        "--command", dest="action_command", metavar="PATTERN", help="actions with this command: 'create_*'"
    )
    new.add_argument("--probability", type=float, default=1.0, metavar="P", help="how often it hits what it fits")
    new.add_argument("--seed", type=int, default=0, help="of the draws: the same seed, the same hits")
    new.add_argument(
        "--count", type=int, metavar="N", help="gone after so many hits; of what stays: on so many at most"
    )
    new.add_argument("--for", dest="duration", type=float, metavar="SECONDS", help="over after so long")
    new.add_argument("--seconds", type=float, default=5.0, help="of waiting, between crashes; 5 if not given")
    new.add_argument("--message", default=Fault.message, help="of failed_action")
    verbs.add_parser("list", help="the faults there are; JSON=1: one JSON object as the last line")
    verbs.add_parser("clear", help="forget faults").add_argument("ids", nargs="*", type=int, metavar="ID")


def run(store: Store, options: argparse.Namespace) -> str:
    """Carry out the command; returns what to print. Raises ValueError for a fault that makes no sense."""
    if options.verb == "add":
        new = Fault(
            kind=options.kind, path=options.path, method=options.method, resource=options.resource,
            command=options.action_command, probability=options.probability, seed=options.seed, count=options.count,
            seconds=options.seconds, message=options.message, peer=options.peer, until=_end(options.duration),
        )  # fmt: skip
        for wish in (new.resource, new.peer) if new.stays else ():
            _check_there(store, wish)
        added = fault_store.add(store, new)
        options.ids = [added.id]
        return f"fault {added.id}: {added.kind} {where(added)}"
    if options.verb == "clear":
        if unknown := set(options.ids) - {fault.id for fault in fault_store.listed(store)}:
            raise ValueError(f"no fault {', '.join(map(str, sorted(unknown)))}; `localcloud fault list` shows them")
        return f"{fault_store.clear(store, options.ids)} cleared"
    return table(fault_store.listed(store))


def settle(store: Store, options: argparse.Namespace, limit: float = SETTLE) -> bool:
    """Wait (at most `limit` seconds) until what was added or cleared is carried out; False if that takes longer."""
    end = time.monotonic() + limit

    def done() -> bool:
        if options.verb == "clear":
            return fault_store.undone(store, options.ids)
        return options.verb == "list" or all(fault_store.carried_out(store, number) for number in options.ids)

    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _end(duration: float | None) -> float | None:
    if duration is None:
        return None
    if not 0 < duration <= 86400:
        raise ValueError(f"--for {duration:g}: must be above 0 and at most 86400 seconds")
    return time.time() + duration


def _check_there(store: Store, wish: str | None) -> None:
    """What is named has to be there: what stays is not put on what comes later."""
    kind, _, names = (wish or "").partition(":")
    for name in filter(None, names.split(",")):
        if not any(is_meant(f"{kind}:{name}", kind, row["id"], row["name"]) for row in store.all(None, kind)):
            raise ValueError(f"there is no {kind} {name!r}")


def where(fault: Fault) -> str:
    """What it hits, in words."""
    wishes = {"resource": fault.resource, "path": fault.path, "method": fault.method, "command": fault.command}
    wishes["from"] = fault.peer
    return ", ".join(f"{name} {value}" for name, value in wishes.items() if value) or "everywhere"


def _state(fault: Fault) -> str:
    """What it holds on, and how long still."""
    words = []
    if fault.stays:
        words.append("not carried out yet" if not fault.holds else f"on {', '.join(map(str, fault.victims or ()))}")
        words = words if fault.victims or not fault.holds else []
    if fault.until is not None:
        words.append(f"{max(0, fault.until - time.time()):.0f} s left")
    return f" ({'; '.join(words)})" if words else ""


def table(faults: list[Fault]) -> str:
    """The list as a table; with JSON=1 a JSON object follows."""
    lines = [f"{'ID':>6}  {'FAULT':<24} {'P':>5} {'SEED':>5} {'LEFT':>5} {'MATCHED':>7}  WHERE"]
    for f in faults:
        left = "" if f.count is None else str(f.count)
        lines.append(
            f"{f.id:>6}  {f.kind:<24} {f.probability:>5g} {f.seed:>5} {left:>5} {f.matched:>7}  {where(f)}{_state(f)}"
        )
    if os.environ.get("JSON") == "1":
        lines.append(json.dumps({"faults": [fault.data() for fault in faults]}))
    return "\n".join(lines)
