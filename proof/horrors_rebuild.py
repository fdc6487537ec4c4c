"""Horrors that end in a rebuild: everything in the cloud is lost, and the bucket is not what it should be."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterator
from typing import Any

from ops.drill import fill
from ops.drill.cloud import Cloud
from ops.engine import LOCAL
from ops.local import engine_of
from proof.horrors_rig import Outcome, Rig, answer
from proof.operator_copy import Copy, Run

FUTURE = "INSERT INTO schema_version (version, name, needs) VALUES (9999, '9999_of_a_newer_release.sql', 9999);"
PRESENT = "DELETE FROM schema_version WHERE version = 9999;"
WIPE = """
import sys
from sekha_backup import machine
from sekha_backup.bucket import Bucket
bucket = Bucket(machine.own_place())
for key in sys.stdin.read().split():
    assert bucket.request("DELETE", key).status in (200, 204)
"""
PYTHON = "PYTHONPATH=/usr/local/lib/sekha-deploy:/usr/local/lib/sekha-deploy/stage0 python3 -c"


def refusal(run: Run) -> str:
    """What a command of make said in the end."""
    lines = [line for line in run.said.splitlines() if line.startswith("sekha: ")]
    return (lines or run.said.splitlines() or [""])[-1].removeprefix("sekha: ")


def wiped(rig: Rig) -> Iterator[Outcome]:
    """The machine's key deletes all that it may, a newer release's schema is in the backups, and all else is lost."""
    rows = rig.write()
    rig.run(fill.PSQL, stdin=FUTURE)
    fill.archived_within(rig.machine)
    rig.known_within(rig.segments()[-1])
    rig.run("systemctl stop sekha-lease.service sekha.service postgresql@17-main.service")
    before = datetime.datetime.now(datetime.UTC)
    time.sleep(1)
    pages: Any = rig.store.s3.get_paginator("list_objects_v2").paginate(Bucket=rig.store.bucket, Prefix=rig.prefix)
    keys = [row["Key"] for page in pages for row in page.get("Contents", [])]
    rig.run(f"{PYTHON} '{WIPE}'", stdin="\n".join(keys))
    Cloud(LOCAL).pull_plug()
    Cloud(LOCAL).lose_everything()
    engine_of(LOCAL).capture("stack", "rm", "--yes", "--force", "--preserve-config")
    with Copy() as copy:

        def make(target: str, **env: str) -> Run:
            return copy.call("make", "-s", target, timeout=600, **env)

        def untouched() -> tuple[str, bool]:
            servers = Cloud(LOCAL).rows("servers")
            return ("nothing, no machine was made", True) if not servers else (f"SERVERS: {servers}", False)

        run = make("rebuild")
        served, nothing = untouched()
        yield Outcome(f"the machine deleted all {len(keys)} objects of its backups; make rebuild", refusal(run), served,
                      run.code != 0 and "make undelete-backups" in run.said and nothing)  # fmt: skip
        run = make("undelete-backups")
        yield Outcome(
            "make undelete-backups without a time",
            " ".join(run.said.split()[-60:]),
            served,
            run.code == 0 and "TO=" in run.said,
        )
        run = make("undelete-backups", TO=before.isoformat(), CONFIRM="another")
        yield Outcome("make undelete-backups, another stack's name typed", refusal(run), served, run.code != 0)
        run = make("undelete-backups", TO=before.isoformat(), CONFIRM=LOCAL)
        yield Outcome("make undelete-backups TO= a second before", refusal(run), served,
                      run.code == 0 and f"{len(keys)} objects brought back" in run.said)  # fmt: skip
        run = make("undelete-backups", TO=before.isoformat(), CONFIRM=LOCAL)
        yield Outcome("the same once more", refusal(run), served, run.code == 0 and "nothing to do" in run.said)
        yield other_stack_key(make, untouched)
        run = make("rebuild")
        rig.connect_to(Cloud(LOCAL).rows("servers")[0]["public_net"]["ipv4"]["ip"])
        status = rig.status()
        found = rig.rows()
        told = next((line.strip() for line in run.said.splitlines() if "9999" in line), refusal(run))
        yield Outcome("make rebuild, and the backups are of a newer release than this one", told,
                      f"nothing: the URL {answer(status)}; the database has {found} of {rows}",
                      run.code != 0 and "9999" in run.said and status != 200 and found == rows)  # fmt: skip
        rig.run(fill.PSQL, stdin=PRESENT)
        run = copy.up()
        rig.connect()
        found, status = rig.rows(), rig.status()
        yield Outcome("make up with a release that knows the schema", f"exit code {run.code} after {run.seconds:.0f} s",
                      f"healthy, {found} of {rows} conversations" if status == 200 else f"URL answers {status}",
                      run.code == 0 and status == 200 and found == rows)  # fmt: skip


def other_stack_key(make: Any, untouched: Any) -> Outcome:
    """A rebuild with another stackKey than the backups were made with."""
    engine = engine_of(LOCAL)
    engine.select()
    right = engine.secrets()["sekha:stackKey"]
    engine.set("sekha:stackKey", os.urandom(32).hex(), secret=True)
    try:
        run = make("rebuild")
    finally:
        engine.set("sekha:stackKey", right, secret=True)
    served, nothing = untouched()
    return Outcome("make rebuild with another stackKey in the config", refusal(run), served,
                   run.code != 0 and "opened by another stackKey" in run.said and nothing)  # fmt: skip
