"""`localcloud fault`, `unavailable` and `check`: what a rehearsal sets, and whether all is well after it."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import closing

from localcloud import catalog, fault_cli
from localcloud.check import compare
from localcloud.commands.common import RefusedError, need_root, runs, say, without_machines
from localcloud.machines import census
from localcloud.machines.paths import Paths
from localcloud.store import Store


def fault(paths: Paths, options: argparse.Namespace) -> int:
    """The command `fault`."""
    need_root(paths)
    with closing(Store(paths.database)) as store:
        try:
            print(fault_cli.run(store, options))
            if not runs(paths):
                say("the local cloud is down: faults of machines, volumes and the object store hold when it is up")
            elif not fault_cli.settle(store, options):
                raise RefusedError("the daemon has not carried that out yet; `fault list` shows how far it is")
        except ValueError as error:
            raise RefusedError(str(error)) from None
    return 0


def sell_out(paths: Paths, wanted: list[str]) -> int:
    """Make exactly these TYPE@LOCATION impossible to order; servers that are there stay."""
    with closing(Store(paths.database)) as store:
        known = {(row["name"], place["name"]) for row in catalog.server_types() for place in row["locations"]}
        rows = {(name, place) for name, _, place in (text.partition("@") for text in wanted)}
        if unknown := rows - known:
            names = ", ".join(f"{name}@{place}" for name, place in sorted(unknown))
            raise RefusedError(f"not sold anyway: {names}; write TYPE@LOCATION, as cx23@fsn1")
        store.set_unavailable(rows)
    say(f"sold out: {', '.join(sorted(wanted)) or 'nothing'}")
    return 0


def check(paths: Paths) -> int:
    """Compare state and host; exit code 1 if they don't agree."""
    need_root(paths)
    if without_machines(paths):
        raise RefusedError("this local cloud has no machines (`up --no-machines`): there is nothing to compare with")
    with closing(Store(paths.database)) as store:
        checked, problems = compare(store, census.take(paths))
    print(*problems, f"{checked} compared, {len(problems)} disagree", sep="\n")
    if os.environ.get("JSON") == "1":
        print(json.dumps({"compared": checked, "problems": problems}))
    return 1 if problems else 0
