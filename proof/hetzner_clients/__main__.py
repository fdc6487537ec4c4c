"""`make proof-hetzner-clients`: hcloud-python, Debian's hcloud and the Pulumi provider, unmodified, against the API.

Each goes through the whole life of every resource it knows, error cases included; machines are in memory, so it takes
two minutes. ONLY=python|cli|provider runs one of them. REAL=1: the first two on the running local cloud, where machines
boot (ten minutes); KIND="load balancers" runs one walk.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ops.show import json_line, table
from proof.hetzner_clients import cli_walk
from proof.hetzner_clients.provider_walk import life
from proof.hetzner_clients.python_walk import WALKS
from proof.hetzner_clients.world import World, live, serve

Row = tuple[str, str, str, str]  # client, resource, checks, outcome


def _walk(client: str, kind: str, world: World, walk: Callable[[World], None]) -> Row:
    began = time.monotonic()
    try:
        walk(world)
    except Exception as error:  # whatever stops a walk is its outcome
        print(f"{client}: {kind}: {error}", file=sys.stderr, flush=True)
        return client, kind, str(world.checks), f"FAILED: {str(error).splitlines()[0][:90]}"
    print(f"{client}: {kind}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    return client, kind, str(world.checks), "ok"


def rows(only: str) -> Iterator[Row]:
    """All rows of the table, as they come."""
    wanted = os.environ.get("KIND", "")
    with (live if os.environ.get("REAL") == "1" else serve)() as make:
        if only in ("", "python"):
            for kind, walk in WALKS.items():
                if wanted not in ("", kind):
                    continue
                yield _walk("hcloud-python", kind, make(), walk)
        if only in ("", "cli"):
            hcloud = cli_walk.program()
            for kind in cli_walk.LINES:
                if wanted not in ("", kind):
                    continue
                yield _walk("hcloud (Debian)", kind, make(), functools.partial(cli_walk.walk, hcloud, kind))
    if only in ("", "provider") and not wanted and os.environ.get("REAL") != "1":
        with tempfile.TemporaryDirectory() as name:
            for kind, did in life(Path(name)).items():
                yield "pulumi-hcloud", kind, "", did


def main() -> int:
    """Print the table; return the exit code."""
    only = os.environ.get("ONLY", "")
    if only not in ("", "python", "cli", "provider"):
        print(f"ONLY={only} is unknown; set python, cli or provider, or nothing for all", file=sys.stderr)
        return 2
    found = list(rows(only))
    print(table(("client", "resource", "checks", "outcome"), found))
    failed = [row for row in found if row[3].startswith("FAILED")]
    json_line({"rows": found, "failed": len(failed)})
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
