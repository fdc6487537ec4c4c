"""The stage `restore` of a release, for either kind of database: decide, hold the lease, restore what is to be."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sekha_backup import files, machine
from sekha_backup.ahead import Ahead, Prepared
from sekha_backup.decide import Action, Facts, decide
from sekha_backup.lease import Lease, of_this_machine, say
from sekha_backup.machine import BRANCHED, DATABASE, FENCED, HOLDER, MAIN, Place, RefusedError
from sekha_backup.repository import Backup

Orders = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Whose backups: `stack`, and the arguments that make pgBackRest read them, or litestream's configuration; `known`:
    a WAL file that was in the archive for certain, "" = none is known."""

    stack: str
    arguments: Sequence[str]
    backups: Sequence[Backup]
    known: str = ""


@dataclass(frozen=True)
class Database:
    """What a bring-up asks of a kind of database."""

    configure: Callable[[Place], object]
    has_data: Callable[[], bool]
    choose_source: Callable[[Orders], Source]
    prepare: Callable[[Source], Prepared]  # the newest state, beside its place; the bucket is only read
    discard: Callable[[], None]  # throw away what `prepare` left
    restore: Callable[[Lease, Source, datetime.datetime | None, Orders, Prepared], None]
    adopt: Callable[[], None]


def bring_up(database: Database) -> None:
    """Raises RefusedError, OSError."""
    place, orders, lease = machine.own_place(), machine.orders(), of_this_machine()
    refuse_other_kind()
    database.configure(place)
    action, source = choose(database, lease, orders)
    if action is Action.ADOPT and HOLDER.exists():
        lease.heir_of = HOLDER.read_text()
    # To a time, or from another stack: rare, and begun when the lease is ours.
    early = action is Action.RESTORE and source.stack == place.stack and not orders.get("restore_to")
    ahead = Ahead(lambda: database.prepare(source))
    try:
        lease.take(ahead.start if early else lambda: None)
        if lease.waited:
            action, source = again((action, source), choose(database, lease, orders))
        with lease.kept():
            prepared = ahead.result()
    except BaseException:
        if ahead.stop():
            database.discard()
            say("what was downloaded early is removed")
        raise
    if action is Action.RESTORE:
        target = _target_once(lease, orders)
        with lease.kept():
            database.restore(lease, source, target, orders, prepared)
    elif action is Action.ADOPT:
        database.adopt()
    elif source.backups:
        say(f"restore is never: starting empty beside {len(source.backups)} backups of before")
    BRANCHED.unlink(missing_ok=True)
    machine.write(HOLDER, lease.holder, 0o644)
    if place.stack == source.stack and files.bring_back(place):
        say("Caddy's certificates and keys are back")


def choose(database: Database, lease: Lease, orders: Orders) -> tuple[Action, Source]:
    """What to do, by what is on the volume and in the bucket now, and from what. Raises RefusedError, OSError."""
    has_data = database.has_data()
    fenced = str(machine.read(FENCED).get("holder", ""))
    source = Source(lease.bucket.place.stack, (), ()) if has_data else database.choose_source(orders)
    state, _ = lease.look()
    asked = bool(orders.get("restore_from") or orders.get("restore_to"))
    had_data = bool(state.get("data")) or machine.had_data()
    branched = machine.read(BRANCHED).get("key") == lease.bucket.place.key_id
    facts = Facts(orders.get("restore", "auto"), has_data, bool(source.backups), had_data, asked, fenced, branched)
    return decide(facts), source


def again(before: tuple[Action, Source], now: tuple[Action, Source]) -> tuple[Action, Source]:
    """What was chosen after the wait for a lease: the machine that died may have written until its last second. Raises
    RefusedError when the backups that were there are not."""
    if before[0] is Action.RESTORE and (now[0] is not Action.RESTORE or now[1].stack != before[1].stack):
        raise RefusedError(
            f"the backups of stack {before[1].stack} disappeared from the bucket during the wait for its lease; nothing"
            " was changed. Bring them back from the object versions: make undelete-backups (docs/backup.md)"
        )
    return now


def refuse_other_kind(main: Path = MAIN, file: Path = DATABASE) -> None:
    """Data of the other kind would stay unseen beside an empty Sekha. Raises RefusedError."""
    wanted, other, there = "postgres", "sqlite", file.exists() and file.stat().st_size > 0
    if machine.is_sqlite():
        wanted, other, there = "sqlite", "postgres", (main / "PG_VERSION").exists()
    if there:
        raise RefusedError(
            f"sekha:database is {wanted} and the data on this volume are those of {other}; nothing was changed. Set "
            f"sekha:database to {other}; to move, make a new stack (docs/backup.md)"
        )


def source_place(orders: Orders) -> Place:
    """Where the backups of restoreFrom are, with the keys that the release brought. Raises RefusedError."""
    other, secrets = orders["restore_from"], machine.read(machine.RUN / "secrets.json")
    try:
        access, secret, stack_key = (secrets[f"restore{name}Key"] for name in ("Access", "Secret", "Stack"))
    except KeyError as error:
        raise RefusedError(f"the secret {error} of sekha:restoreFrom did not come with the release") from None
    bucket = dict(other["bucket"])
    if authority := bucket.pop("ca"):
        bucket["ca_file"] = str(machine.RUN / "restore-ca.pem")
        machine.write(Path(bucket["ca_file"]), authority, 0o644)
    return machine.place(other["stack"], bucket, lambda: (access, secret, {}), stack_key)


def _target_once(lease: Lease, orders: Orders) -> datetime.datetime | None:
    """The time of restoreTo, unless a restore to it was carried out already: what came after must not be lost then."""
    text = orders.get("restore_to") or ""
    answer = lease.bucket.get(lease.bucket.place.prefix + "restored.json")
    if text and answer.status == 200 and json.loads(answer.body).get("target") == text:
        say(f"sekha:restoreTo {text} was carried out before: restoring the newest instead; take it out of the config")
        orders["restore_to"] = ""
        return None
    return parse_target(text)


def parse_target(text: str) -> datetime.datetime | None:
    """A time in ISO 8601; without an offset it is UTC. "" = None. Raises RefusedError."""
    if not text:
        return None
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(f"{text!r} is no time; write it like 2026-11-23T14:05:00+00:00") from None
    return when if when.tzinfo else when.replace(tzinfo=datetime.UTC)


def check_target(target: datetime.datetime | None, backups: Sequence[Backup]) -> None:
    """Refuse a time that no backup reaches: before the first was complete, or in the future."""
    if target is None:
        return
    first = min(backup.stop for backup in backups)
    if target < first:
        raise RefusedError(
            f"{target.isoformat()} is before the first backup was complete ({first.isoformat()}): "
            "choose that time or a later one"
        )
    now = datetime.datetime.now(datetime.UTC)
    if target > now:
        raise RefusedError(f"{target.isoformat()} is in the future (it is {now.isoformat(timespec='seconds')})")
