"""`make proof-faults`: every fault of the local cloud, what `pulumi up` printed under it, and what the next `up` did.

The API's faults on a stack without machines (proof.faults_api, 10 minutes), those of machines, volumes and the object
store on the local stack (proof.faults_machines, 10 minutes). ONLY=api|machines; CASES=words of names.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ops.engine import OperatorError
from ops.paths import REPO
from ops.show import json_line
from proof import faults_machines
from proof.entry import finish
from tests.support import alone

WIDTH = 150


def api_rows() -> list[dict[str, Any]]:
    """The rows of proof.faults_api, in a network namespace of its own."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(alone("proof.faults_api", folder), cwd=REPO, check=False)
        if done.returncode:
            raise OperatorError("the API's faults could not be tried; the error is above")
        rows: list[dict[str, Any]] = json.loads((Path(folder) / "rows.json").read_text())
        return rows


def told(row: dict[str, Any]) -> str:
    """A row as a paragraph: a table of such texts would be too wide to read."""
    first, second = row["first"], row["next"]
    lines = [f"{row['fault']}{'' if row['good'] else '   <-- NOT GOOD'}"]
    if "client" in row:
        lines.append(f"    clients         {row['client']}")
    lines.append(
        f"    up              {'completes' if first['ok'] else 'fails'} after {first['seconds']:.0f} s: {first['did']}"
    )
    lines += [f"    it printed      {line[:WIDTH]}" for line in first["said"][:3]]
    lines.append(f"    the next up     {'completes' if second['ok'] else 'FAILS'}: {second['did']}")
    lines += [f"    it printed      {line[:WIDTH]}" for line in second["said"][:3]]
    return "\n".join(lines)


def main() -> int:
    """Try all faults; 1 if a stack was not whole after the second `up`."""
    only, rows = os.environ.pop("ONLY", ""), list[dict[str, Any]]()
    if only != "machines":
        rows += api_rows()
    if only != "api":
        rows += faults_machines.rows()
    print(*map(told, rows), sep="\n\n")
    bad = [row["fault"] for row in rows if not row["good"]]
    print(f"\n{len(rows)} faults; after {len(rows) - len(bad)} of them the next up left a whole stack")
    json_line({"faults": rows, "bad": bad})
    return 1 if bad else 0


if __name__ == "__main__":
    finish(main)
