"""`make proof-verification`: a good verification, then failures planted one by one: each is caught and seen outside.

Works on the local stack, which must be up. Each failure is undone. For each the proof asks what an operator would see:
the units that failed, the alerts that hold for the machine's metrics, and what `make status` says.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ops import verification
from ops.drill import fill
from ops.engine import LOCAL, OperatorError
from ops.local import engine_of
from ops.recover import settings_of
from ops.show import json_line, say, table
from proof.entry import finish
from proof.verification_faults import CASES, ROWS, WRITE
from proof.verification_rig import RECORD, Proof, Seen


def caught(seen: Seen, units: set[str], names: set[str], words: str) -> bool:
    """Whether a failure shows everywhere it must. Pure."""
    expected = units | {"sekha-backup-check"}
    return expected <= set(seen.units) and names <= set(seen.alerts) and any(words in line for line in seen.status)


def good(proof: Proof) -> tuple[dict[str, Any], bool]:
    """A verification that must be good, and nothing that shows a failure."""
    proof.unit("sekha-verify")
    figures = json.loads(proof.machine.run(f"cat {RECORD}"))
    seen = proof.look()
    return figures, bool(figures["ok"]) and not (seen.units or seen.alerts or seen.status)


def main() -> int:
    """Run the proof; 1 when a failure was not caught."""
    engine = engine_of(LOCAL)
    settings = settings_of(engine)
    if settings is None:
        raise OperatorError("the local stack is not up: make up")
    proof = Proof(engine, settings)
    proof.unit("sekha-first-backup")
    proof.machine.run(fill.PSQL, stdin=WRITE.format(rows=ROWS))
    short = os.environ.get("SHORT") == "1"
    rows: list[tuple[str, str, str, str]] = []
    broken: list[str] = []
    if not short:
        say("verification: a good backup")
        figures, well = good(proof)
        print(table(["verification", LOCAL], verification.rows(figures)))
        broken += [] if well else ["a good backup"]
    for what, (plant, units, names, words) in list(CASES.items())[: 1 if short else None]:
        say(f"verification: {what}")
        began = time.monotonic()
        seen = plant(proof)
        seconds = time.monotonic() - began
        if not caught(seen, units, names, words):
            broken.append(what)
        rows.append((what, " ".join(seen.units), " ".join(seen.alerts), f"{seconds:.0f}"))
        say(f"  {'caught' if what not in broken else 'NOT caught'}: {'; '.join(seen.status)[:300]}")
    say("verification: everything undone")
    figures, well = good(proof)
    broken += [] if well else ["everything undone"]
    print(table(["planted", "failed units", "alerts that hold", "seconds until seen"], rows))
    print(f"everything undone: {'good again, no failed unit, no alert' if well else 'NOT good'}")
    json_line({"good": figures, "planted": [list(row) for row in rows], "broken": broken})
    return 1 if broken else 0


if __name__ == "__main__":
    finish(main)
