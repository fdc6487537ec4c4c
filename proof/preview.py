"""`make proof-preview`: comments made of real previews, one for each kind of change (3 minutes; needs root).

The real engine and provider, the local cloud's API and object store; no machine boots. Prints each comment, then a
table. RECORD=1 also keeps the previews, without what changes from run to run, as samples of the unit tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ci.__main__ import comment
from ci.assess import OVERRIDE
from ops.paths import REPO
from ops.show import json_line, table
from tests.support import alone

SAMPLES = REPO / "tests" / "unit" / "ci" / "samples"
EXPECTED: dict[str, tuple[list[str], str]] = {
    "first": ([], "| EUR | 0.00 | 5.06 | **+5.06** |"),
    "nothing": ([], "nothing changes"),
    "firewall": ([], "| ~ changed | Firewall | firewall |"),
    "firewall-open": (["guard rail"], "SSH must have narrow sources"),
    "resize": ([], "serverType: cx23 → cx33"),
    "user-data": ([], "| **± replaced** | Server | sekha-local-1 | userData |"),
    "region": ([], "nothing moves"),
    "region-by-code": (["data loss", "protected"], "can't be attached in nbg1"),
    "budget": (["budget"], "sekha:monthlyBudget = 2 EUR"),
    "volume-removed": (["data loss"], "volume data is deleted"),
    "volume-removed-protected": (["data loss", "protected"], "volume data is deleted"),
    "protection-removed": ([], "protection removed: Volume data"),
}
"""Preview -> what blocks it, and a text that its comment holds."""


def scrubbed(text: str, folder: Path) -> str:
    """A preview's JSON with what the comment is made of alone, the same in every run."""
    raw: dict[str, Any] = json.loads(text.replace(str(folder), "/folder"))
    for step in raw["steps"]:
        for side in ("oldState", "newState"):
            if state := step.get(side):
                step[side] = _state(state)
        step.pop("provider", None)
    raw.pop("duration", None)
    return json.dumps(raw, indent=1) + "\n"


def _state(state: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: state[key] for key in ("urn", "type", "inputs", "protect") if key in state}
    kept["inputs"] = {key: _short(value) for key, value in kept.get("inputs", {}).items() if not key.startswith("__")}
    if state["type"] == "pulumi:pulumi:Stack" and "monthlyCost" in state.get("outputs", {}):
        kept["outputs"] = {"monthlyCost": state["outputs"]["monthlyCost"]}
    return kept


def _short(value: Any) -> Any:
    return value[:80] if isinstance(value, str) else value


def main() -> int:
    """Make the previews, show the comments; 1 when one is not as expected."""
    with tempfile.TemporaryDirectory(prefix="sekha-preview-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if subprocess.run(alone("proof.preview_story", name), cwd=REPO, check=False, timeout=1200).returncode:
            print("proof-preview: the previews could not be made; the lines above say why", file=sys.stderr)
            return 1
        texts = {path.stem: path.read_text() for path in sorted((folder / "previews").glob("*.json"))}
        if os.environ.get("RECORD") == "1":
            SAMPLES.mkdir(exist_ok=True)
            for name, text in texts.items():
                (SAMPLES / f"{name}.json").write_text(scrubbed(text, folder))
    rows = []
    for name, (blocks, part) in EXPECTED.items():
        body, found = comment(texts[name], "local")
        print(f"\n{'=' * 20} {name}\n\n{body}")
        right = found == blocks and part in body
        rows.append((name, ", ".join(found) or "-", len(body), "yes" if right else "NO"))
    _, approved = comment(texts["volume-removed"], "local", labels=(OVERRIDE,))
    rows.append((f"volume-removed, {OVERRIDE}", ", ".join(approved) or "-", 0, "NO" if approved else "yes"))
    print(table(["preview", "blocked by", "characters", "as expected"], rows))
    bad = [row[0] for row in rows if row[3] != "yes"]
    json_line({"previews": len(rows), "unexpected": bad})
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
