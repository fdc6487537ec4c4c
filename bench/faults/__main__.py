"""`make bench-faults`: faults while clients write, with counts of acknowledged and present conversations.

Each fault on a service of its own, two workers, eight clients (for Chroma: as many as keeps the machine below its rate
of embedding). Fails when an acknowledged conversation is lost, one is stored twice or in part, or not all messages are
in Chroma when its outbox is empty again. The faults are in tests/service/faults.py, which the tests use too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.service.databases import Postgres
from tests.service.faketime import Clock
from tests.service.faults import FAULTS, Fault
from tests.service.rig import Chroma
from tests.service.small_disk import SmallDisk
from tests.service.under_load import Outcome, rig_for, run

_HEAD = (
    f"{'fault':28} {'database':10} {'acknowledged':>12} {'present':>8} {'lost':>4} {'twice':>5} {'half':>4} "
    f"{'unindexed':>9} {'away s':>6} {'back s':>6}  errors seen"
)


def main() -> int:
    """Run the faults asked for, print the table; 1 when one did harm."""
    parser = argparse.ArgumentParser(prog="bench-faults", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], help="parts of the faults' names")
    only = parser.parse_args().only
    chosen = [it for it in FAULTS if not only or any(part in it.name for part in only)]
    found: list[Outcome] = []
    skipped: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sekha-faults-") as name:
        (Path(name) / "chroma").mkdir()
        postgres, chroma = Postgres(), Chroma(Path(name) / "chroma")
        try:
            for fault in chosen:
                if not _possible(fault):
                    skipped.append(f"{fault.name}, {fault.database}: needs root")
                    continue
                # A minute of creates without a pause would take many minutes to embed.
                threads, pause = (2, 0.2) if "Chroma" in fault.name else (8, 0.02)
                with rig_for(fault, postgres, chroma) as rig:
                    found.append(run(fault, rig, fault.seconds, threads, pause))
                print(_line(found[-1]), file=sys.stderr, flush=True)
        finally:
            chroma.stop()
            postgres.close()
    print("\n".join([_HEAD, *map(_line, found), *skipped]))
    if os.environ.get("JSON") == "1":
        print(json.dumps({"faults": [_as_json(it) for it in found], "skipped": skipped}))
    return 0 if all(it.harmless for it in found) else 1


def _possible(fault: Fault) -> bool:
    return {"disk": SmallDisk.possible, "clock": Clock.possible}.get(fault.needs, lambda: True)()


def _line(it: Outcome) -> str:
    seen = ", ".join(f"{count} x {name}" for name, count in sorted(it.errors.items())) or "none"
    if it.lexical is not None:
        seen += f"; {'found by words meanwhile' if it.lexical else 'NOT FOUND by words meanwhile'}"
    verdict = it.verdict
    return (
        f"{it.fault.name:28} {it.fault.database:10} {verdict.acknowledged:12} {verdict.present:8} {verdict.lost:4} "
        f"{verdict.twice:5} {verdict.half:4} {it.unindexed:9} {it.away:6.1f} {it.back:6.1f}  {seen}"
    )


def _as_json(it: Outcome) -> dict[str, object]:
    return {
        "fault": it.fault.name,
        "database": it.fault.database,
        **asdict(it.verdict),
        "errors": it.errors,
        "away_seconds": round(it.away, 1),
        "back_seconds": round(it.back, 1),
        "lexical": it.lexical,
        "unindexed": it.unindexed,
    }


if __name__ == "__main__":
    sys.exit(main())
