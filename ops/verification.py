"""`make verify-backup`, and what the machine's own checks of its backups say, for `status` and `backup-list`."""

from __future__ import annotations

import datetime
import json
import time
from typing import Any

from infra.settings import DOCKER, Settings
from ops import recover
from ops.engine import Engine, OperatorError
from ops.local import engine_of
from ops.receipt import of_machine
from ops.remote import Machine
from ops.show import json_line, say, table

LONGEST = 13 * 3600.0  # seconds; the unit's own limit is 12 hours
SILENT = 1800.0  # seconds: the machine looks every five minutes
RECORD = "/var/lib/sekha-deploy/verification.json"
# Progress from the journal while the unit runs; one that runs already is waited for.
RUN = (
    "journalctl -fu sekha-verify.service -n 0 -o cat >&2 & told=$!; systemctl start sekha-verify.service; code=$?; "
    "sleep 0.5; kill $told; exit $code"
)


def verify_backup(stack: str) -> None:
    """Restore the newest backup on the machine beside its database, check it, throw it away. Raises OperatorError when
    the backup is not good. Safe to run twice: one that is under way is joined."""
    machine = Machine(stack)
    before = _record(machine)
    say(f"verifying the newest backup of stack {stack}")
    failure = ""
    try:
        machine.run(RUN, timeout=LONGEST, show=True)
    except OperatorError as error:
        failure = str(error)
    figures = _record(machine)
    if not figures or figures == before:
        raise OperatorError(f"the verification did not come to a verdict: {failure}")
    kept = of_machine(settings_of(stack), "verification")
    print(table(["verification", stack], rows(figures)))
    if kept.get("at") != figures["at"]:
        print("its receipt is not in the bucket")
    json_line({**figures, "receipt": kept.get("at") == figures["at"]})
    if not figures["ok"]:
        raise OperatorError(f"the newest backup is NOT good: {figures['message']}")


def _record(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.run(f"cat {RECORD} 2>/dev/null || echo '{{}}'"))
    return found


def rows(figures: dict[str, Any]) -> list[tuple[str, object]]:
    """A verification as the rows of a table. Pure."""
    found: list[tuple[str, object]] = [
        ("verdict", "good" if figures["ok"] else f"NOT good: {figures['message'][:150]}"),
        ("at", figures["at"]),
        ("backup", figures.get("backup", "none")),
    ]
    if "bytes" in figures:
        found.append(("backup's MB", figures["bytes"] / 1e6))
    found += [
        (name, figures[key]) for name, key in (("pages checked", "pages"), ("schema", "schema")) if key in figures
    ]
    if "rows" in figures:
        found += [(f"rows of {name}", figures["rows"].get(name, 0)) for name in ("conversations", "messages")]
        found.append(("rows of all tables", sum(figures["rows"].values())))
        found.append(("newest row", figures["newest"] or "none yet"))
        found.append(("its age, s", figures["newest_age_seconds"]))
    if "behind_seconds" in figures:
        found.append(("older than the live one, s", figures["behind_seconds"]))
    if "query" in figures:
        hits = figures["query"]["word_hits"]
        found.append(("a word found by the service, hits", "no plain word in the newest" if hits is None else hits))
    return found + [(f"seconds: {name}", seconds) for name, seconds in figures["seconds"].items()]


def settings_of(stack: str) -> Settings:
    """The stack's settings. Raises OperatorError."""
    settings = recover.settings_of(engine_of(stack))
    if settings is None:
        raise OperatorError(f"the config of stack {stack!r} can't be used: `make preview STACK={stack}` says why")
    return settings


def lines(engine: Engine) -> list[str]:
    """What `make status` says about the stack's backups; [] where it has none of these (Docker)."""
    settings = recover.settings_of(engine)
    if settings is None or settings.cloud == DOCKER:
        return []
    told = list[str]()
    try:
        told += health(of_machine(settings, "check"), time.time())
    except OperatorError as error:
        told.append(f"backups: PROBLEM: {error}")
    return [*told, line(settings)]


def line(settings: Settings) -> str:
    """The newest verification in one line, also when its receipt can't be believed: after a rotation of the stack key
    the next verification leaves a new one."""
    try:
        return verdict(of_machine(settings, "verification"), time.time())
    except OperatorError as error:
        return f"verified: not known: {error}"


def health(check: dict[str, Any], now: float) -> list[str]:
    """The machine's newest check in words. Pure."""
    if not check:
        return ["backups: the machine has not looked at them yet"]
    told = [f"backups: PROBLEM: {problem}" for problem in check["problems"]]
    if (silent := now - _seconds(check["at"])) > SILENT:
        told.append(f"backups: PROBLEM: the machine last looked at them {_ago(silent)}: is it up?")
    newest = check["newest_backup"]
    age = f"the newest {_ago(now - _seconds(newest))}" if newest else "none complete"
    lag = check["lag"]
    return [
        *told,
        f"backups: {check['backups']}, {age}; archive {lag['seconds']:.0f} s behind, {lag['segments']} WAL wait",
    ]


def verdict(figures: dict[str, Any], now: float) -> str:
    """The newest verification in one line. Pure."""
    if not figures:
        return "verified: never yet (`make verify-backup`)"
    when = _ago(now - _seconds(figures["at"]))
    if not figures["ok"]:
        return f"verified: FAILED {when}: {figures['message']}"
    counted = f"{figures['rows'].get('conversations', 0)} conversations, {figures['bytes'] / 1e6:.0f} MB"
    return f"verified: {when}, backup {figures['backup']}: {counted} in {figures['seconds']['all']:.0f} s"


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def _ago(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} seconds ago"
