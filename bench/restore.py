"""`make bench-restore`: drills of SIZES=100,1000,5000 MB, one after the other: what is lost, and how rebuilding grows.

Each is `make drill` with its comparison of what was before and after; one that breaks a promise fails the benchmark.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from ops.paths import REPO
from ops.show import json_line, say, table

SIZES = [int(size) for size in os.environ.get("SIZES", "100,1000,5000").split(",")]
ROWS: tuple[tuple[str, str], ...] = (
    ("database, MB", "size_mb"),
    ("stored, MB", "backup_mb_stored"),
    ("RPO under writes, s", "rpo.seconds"),
    ("RPO idle, s", "rpo.idle_seconds"),
    ("acknowledged rows", "rpo.acknowledged"),
    ("of them lost", "rpo.lost"),
    ("RTO, s", "rto_seconds"),
    ("  boot", "rto_stages.boot"),
    ("  packages", "rto_stages.packages"),
    ("  restore", "rto_stages.restore"),
    ("    download", "restore.seconds.download"),
    ("    replay", "restore.seconds.replay"),
    ("  database", "rto_stages.database"),
    ("  vectors", "rto_stages.vectors"),
    ("  service", "rto_stages.service"),
    ("  tls", "rto_stages.tls"),
    ("restored, MB/s", "restore_mb_per_s"),
    ("floor: boot + download + replay, s", "floor_seconds"),
    ("RTO / floor", "rto_to_floor"),
    ("search by meaning complete, s more", "searchable_seconds"),
)


def drill(size: int) -> dict[str, Any]:
    """The figures of one drill. Exits when it fails."""
    say(f"bench-restore: a drill of {size} MB")
    env = {**os.environ, "SIZE": str(size), "JSON": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "ops.drill"], cwd=REPO, env=env, text=True, stdout=subprocess.PIPE, check=False
    )
    print(done.stdout, file=sys.stderr)
    if done.returncode != 0:
        sys.exit(f"bench-restore: the drill of {size} MB failed; the lines above say why")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def value(figures: dict[str, Any], path: str) -> object:
    """`figures` at a dotted path, "" where it is not there."""
    found: Any = figures
    for part in path.split("."):
        found = found.get(part, "") if isinstance(found, dict) else ""
    return found


def growth(runs: list[dict[str, Any]]) -> str:
    """Seconds of RTO that each further GB costs, from the smallest to the largest run; "" with fewer than two."""
    if len(runs) < 2:
        return ""
    first, last = runs[0], runs[-1]
    gigabytes = (last["size_mb"] - first["size_mb"]) / 1000
    return f"{(last['rto_seconds'] - first['rto_seconds']) / gigabytes:.1f} s for each further GB"


def main() -> None:
    """Run all sizes, print one table."""
    runs = [drill(size) for size in SIZES]
    heads = ["drill", *(f"{size} MB" for size in SIZES)]
    print(table(heads, [(title, *(value(run, path) for run in runs)) for title, path in ROWS]))
    if told := growth(runs):
        print(f"RTO grows by {told}")
    json_line({"drills": {str(size): run for size, run in zip(SIZES, runs, strict=True)}, "growth": growth(runs)})


if __name__ == "__main__":
    main()
