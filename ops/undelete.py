"""`make undelete-backups STACK=`: the stack's backups as they were at a time, from the versions that the bucket keeps.

A machine's key may delete and overwrite objects, never their versions: whatever it did is undone here, with the
operator's key. Nothing is deleted: a version of before is copied to the top, an object that is younger than the time is
hidden behind a delete marker. So each run can be undone by another one, with another time.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from infra import backups
from infra.object_store import Store
from ops import confirm, data_record
from ops.configured import configured
from ops.engine import OperatorError
from ops.show import json_line, say, table

PARTS = ("postgres-", "sqlite-", "caddy-", "restored.json")  # what is brought back, below backups/STACK/
RECEIPTS = "receipts/"  # of verifications and drills: only brought back where they are gone
LEASE = "lease.json"  # written every 20 s by whoever is primary: only brought back where it is gone
WAVE = datetime.timedelta(minutes=10)  # deletions that are further apart belong to different events
ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
COPIES = 16  # at once
MARK = "undeleted"  # metadata of a copy: the version it was made of


@dataclass(frozen=True)
class Version:
    """One version of an object, or a delete marker (`deleted`), written at `at` (UTC)."""

    key: str
    id: str
    at: datetime.datetime
    latest: bool
    deleted: bool
    etag: str = ""
    size: int = 0


@dataclass(frozen=True)
class Step:
    """`key` gets the content of `version` again; None: it is hidden, for it was not there at that time."""

    key: str
    version: Version | None
    now: Version


def written(row: dict[str, Any]) -> datetime.datetime:
    """When a version was written. Where its id is a ULID (versitygw), by that (github.com/ulid/spec): such a store says
    of an older version when it was replaced."""
    name = str(row["VersionId"])
    if len(name) == 26 and set(name) <= set(ULID):
        milliseconds = 0
        for character in name[:10]:
            milliseconds = milliseconds * 32 + ULID.index(character)
        return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    moment: datetime.datetime = row["LastModified"]
    return moment.astimezone(datetime.UTC)


def plan(versions: Iterable[Version], at: datetime.datetime) -> list[Step]:
    """What is to be done so that every object is again what it was at `at`. Pure."""
    history: dict[str, list[Version]] = {}
    for version in versions:
        history.setdefault(version.key, []).append(version)
    steps = []
    for key, rows in sorted(history.items()):
        now = next((row for row in rows if row.latest), max(rows, key=lambda row: row.at))
        then = max((row for row in rows if row.at <= at), key=lambda row: row.at, default=None)
        if then is None or then.deleted:
            steps += [] if now.deleted else [Step(key, None, now)]
        elif now.deleted or (now.etag, now.size) != (then.etag, then.size):
            steps.append(Step(key, then, now))
    return steps


def waves(versions: Iterable[Version]) -> list[tuple[datetime.datetime, datetime.datetime, int]]:
    """(first, last, how many) of deletions that still hold, events apart. Pure."""
    found: list[tuple[datetime.datetime, datetime.datetime, int]] = []
    for moment in sorted(version.at for version in versions if version.deleted and version.latest):
        if found and moment - found[-1][1] <= WAVE:
            first, _, count = found[-1]
            found[-1] = (first, moment, count + 1)
        else:
            found.append((moment, moment, 1))
    return found


def listed(store: Store, prefixes: Iterable[str]) -> Iterator[Version]:
    """All versions and delete markers of the objects that begin so."""
    for prefix in prefixes:
        pages: Any = store.s3.get_paginator("list_object_versions").paginate(Bucket=store.bucket, Prefix=prefix)
        for page in pages:
            for kind in ("Versions", "DeleteMarkers"):
                for row in page.get(kind, []):
                    yield Version(
                        row["Key"], row["VersionId"], written(row), bool(row["IsLatest"]), kind != "Versions",
                        row.get("ETag", ""), row.get("Size", 0),
                    )  # fmt: skip


def carry_out(store: Store, steps: list[Step]) -> tuple[int, int]:
    """(objects brought back, objects hidden). Raises botocore's errors; a second run does what is left."""

    def one(step: Step) -> bool | None:
        if step.version is None:
            store.delete(step.key)
            return False
        if not step.now.deleted and step.now.size == step.version.size:  # a copy's entity tag may be another one
            head = store.s3.head_object(Bucket=store.bucket, Key=step.key)
            if head.get("Metadata", {}).get(MARK) == step.version.id:
                return None
        store.s3.copy_object(
            Bucket=store.bucket, Key=step.key, MetadataDirective="REPLACE", Metadata={MARK: step.version.id},
            CopySource={"Bucket": store.bucket, "Key": step.key, "VersionId": step.version.id},
        )  # fmt: skip
        return True

    with ThreadPoolExecutor(COPIES) as pool:
        done = list(pool.map(one, steps))
    return done.count(True), done.count(False)


def moment(text: str) -> datetime.datetime:
    """A time in ISO 8601; without an offset it is UTC. Raises OperatorError when it is none or not past."""
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise OperatorError(f"TO={text} is no time; write it like 2026-11-23T14:05:00+00:00") from None
    when = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
    if when > datetime.datetime.now(datetime.UTC):
        raise OperatorError(f"TO={text} is in the future")
    return when


def undelete(stack: str) -> None:
    """Without TO: list what was deleted when. With TO=time: bring the backups back as they were then, when the stack's
    name is typed. Raises OperatorError."""
    at = moment(os.environ["TO"]) if os.environ.get("TO") else None
    settings = configured(stack)
    if settings is None:
        raise OperatorError(f"the config of stack {stack!r} can't be used; `make preview STACK={stack}` says why")
    prefix = backups.prefix(stack)

    def work(store: Store) -> dict[str, Any]:
        versions = list(listed(store, [prefix + part for part in PARTS]))
        if at is None:
            return show(stack, versions)
        steps = plan(versions, at)
        steps += [step for step in plan(listed(store, [prefix + RECEIPTS]), at) if step.now.deleted]
        lease = list(listed(store, [prefix + LEASE]))
        if lease and max(lease, key=lambda row: row.at).deleted:
            steps += plan(lease, max((row.at for row in lease if not row.deleted), default=at))
        back = sum(step.version is not None for step in steps)
        if steps:
            confirm.typed(
                stack,
                f"brings back {back} objects of the backups of stack {stack} as they were at {at.isoformat()}, and "
                f"hides {len(steps) - back} that are younger",
            )
        restored, hidden = carry_out(store, steps)
        say(
            f"{restored} objects brought back, {hidden} hidden"
            if restored + hidden
            else "nothing to do: it is so already"
        )
        return {"stack": stack, "at": at.isoformat(), "restored": restored, "hidden": hidden}

    json_line(data_record.with_store(settings, work, {"stack": stack, "restored": 0, "hidden": 0}))


def show(stack: str, versions: list[Version]) -> dict[str, Any]:
    """Print what was deleted when; returns it."""
    events = [
        (first, last, count, (first - datetime.timedelta(seconds=1)).isoformat(timespec="seconds"))
        for first, last, count in waves(versions)
    ]
    rows = [(f"{first:%Y-%m-%d %H:%M:%S}", f"{last:%H:%M:%S}", str(count), to) for first, last, count, to in events]
    print(table(["deleted from (UTC)", "until", "objects", "TO= for the state before"], rows))
    print(
        f"Retention deletes too, a few objects a day. To bring the backups back as they were at a time: "
        f"make undelete-backups STACK={stack} TO=..."
    )
    return {
        "stack": stack,
        "deleted": [{"first": str(f), "last": str(e), "objects": n, "to": to} for f, e, n, to in events],
    }
