"""`make proof-horrors`: what can go wrong with backups and restores, done on the local stack, which must be up.

Each horror ends in a right restore or in a clear refusal, never in an empty or half Sekha that looks healthy.
HORRORS=name,name chooses some.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException

from ops.confirm import one_of
from ops.engine import OperatorError
from ops.show import json_line, say, table
from proof import horrors_damage, horrors_early, horrors_midway, horrors_primary, horrors_rebuild
from proof.entry import finish
from proof.horrors_rig import CLUSTERS, HASTE, Outcome, Rig

HORRORS = {
    "wrong-key": horrors_damage.wrong_key,
    "corrupted": horrors_damage.corrupted,
    "truncated": horrors_damage.truncated,
    "missing-wal": horrors_damage.missing_wal,
    "away-at-backup": horrors_midway.away_at_backup,
    "away-during-restore": horrors_midway.away_during_restore,
    "full-disk": horrors_midway.full_disk,
    "killed": horrors_midway.killed,
    "away-at-boot": horrors_midway.away_at_boot,
    "two-rebuilds": horrors_primary.two_rebuilds,
    "old-primary": horrors_primary.old_primary,
    "early": horrors_early.early,
    "wiped": horrors_rebuild.wiped,  # and: a newer schema, another stackKey
}


PROBLEMS = (OperatorError, OSError, HTTPException, subprocess.SubprocessError)


def give_back(rig: Rig) -> None:
    """After a horror that did not end as it must: the data that stayed aside are served again."""
    rig.run(f"cd {CLUSTERS}; if ! test -e main; then rm -rf restoring; mv main.kept main; fi")
    rig.serve()


def outcomes(horror: Callable[[Rig], Iterator[Outcome]], rig: Rig) -> Iterator[Outcome]:
    """A horror's rows; where it could not go on, the last one says why, and the next horror has its turn."""
    kept = False
    try:
        for outcome in horror(rig):
            kept = outcome.kept
            yield outcome
    except PROBLEMS as problem:
        kept = False
        yield Outcome("it could not go on", str(problem), "", False)
    if not kept:
        with suppress(*PROBLEMS):
            give_back(rig)


def main() -> int:
    """Run the horrors; 1 when one did not end as it must."""
    chosen = [name for name in os.environ.get("HORRORS", "").split(",") if name] or list(HORRORS)
    known = {**HORRORS, "hole": horrors_damage.one_hole}
    for name in chosen:
        one_of("HORRORS", name, tuple(known))
    rig, found = Rig(), list[tuple[str, Outcome, float]]()
    for name in chosen:
        say(f"horrors: {name}")
        began = time.monotonic()
        for outcome in outcomes(known[name], rig):
            verdict = "as promised" if outcome.kept else "BROKEN"
            say(f"{verdict}: {outcome.what}: {outcome.said[-600:]} | {outcome.served}")
            found.append((name, outcome, round(time.monotonic() - began, 1)))
            began = time.monotonic()
    rig.attempt(f"rm -f {HASTE}")
    rows = [(name, one.what, one.said[:160], one.served, s, "yes" if one.kept else "NO") for name, one, s in found]
    print(table(["horror", "done", "said", "served", "s", "as promised"], rows))
    json_line({"horrors": [{"horror": name, "seconds": s, **vars(one)} for name, one, s in found],
               "broken": [one.what for _, one, _ in found if not one.kept]})  # fmt: skip
    return 0 if all(one.kept for _, one, _ in found) else 1


if __name__ == "__main__":
    finish(main)
