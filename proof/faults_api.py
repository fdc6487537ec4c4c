"""The API's faults for `make proof-faults`: real engine, provider and program against the API without machines.

Run as `unshare --net python -m proof.faults_api FOLDER`; leaves FOLDER/rows.json. A thread plays the machine.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud import fault_store
from localcloud.faults import Fault
from ops import recover
from ops.engine import Engine, OperatorError
from ops.stale_lock import break_stale, drop_torn_sidecars
from tests.cloud.program_rig import Rig

YES = ("--yes", "--skip-preview")
POST: dict[str, Any] = {"path": "/servers", "method": "POST"}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("429 on POST /servers, twice", {"kind": "rate_limit_exceeded", "count": 2, **POST}),
    ("429 on POST /servers, for good", {"kind": "rate_limit_exceeded", **POST}),
    ("503 on POST /servers, once", {"kind": "unavailable", "count": 1, **POST}),
    ("503 on every request, for good", {"kind": "unavailable"}),
    ("504 on POST /servers, twice", {"kind": "timeout", "count": 2, **POST}),
    ("502 on a tenth of all requests", {"kind": "bad_gateway", "probability": 0.1, "seed": 1}),
    ("no answer for 3 s, then cut, POST /servers", {"kind": "hang", "seconds": 3, "count": 1, **POST}),
    ("connection cut before POST /servers", {"kind": "cut", "count": 1, **POST}),
    ("connection cut after POST /servers", {"kind": "cut_after", "count": 1, **POST}),
    ("answers 1 s late", {"kind": "slow", "seconds": 1, "count": 20}),
    ("conflict on POST /volumes, twice", {"kind": "conflict", "path": "/volumes", "count": 2}),
    ("slow action: create_server + 5 s", {"kind": "slow_action", "command": "create_server", "seconds": 5}),
    ("failed action: create_server", {"kind": "failed_action", "command": "create_server", "count": 1}),
    ("failed action: start_server", {"kind": "failed_action", "command": "start_server", "count": 1}),
    ("failed action: attach_volume", {"kind": "failed_action", "command": "attach_volume", "count": 1}),
    ("resource_unavailable on POST /servers, once", {"kind": "resource_unavailable", "count": 1, **POST}),
    ("locked on POST /volumes, once", {"kind": "locked", "path": "/volumes", "count": 1}),
    ("resource_limit_exceeded on POST /servers", {"kind": "resource_limit_exceeded", "count": 1, **POST}),
]
NOISE = re.compile(r"\s*error: (update failed|preview failed|one or more|1 error occurred)")


@dataclass(frozen=True)
class Up:
    """How one `up` went: seconds, exit code, what it printed as errors, what it did."""

    seconds: float
    ok: bool
    said: list[str]
    did: str


def errors(text: str) -> list[str]:
    """The messages of the engine's output that say what went wrong, once each, without the provider's file names."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    found = [line.strip() for line in plain.splitlines() if line.strip().startswith("error:") and not NOISE.match(line)]
    short = [re.sub(r"sdk-v2/\S+ sdk.helper_schema: |: provider=hcloud@\S+", "", line) for line in found]
    return list(dict.fromkeys(re.sub(r"\s+", " ", line) for line in short))


def did(text: str) -> str:
    """The engine's own summary: `+ 12 created`."""
    summary = re.search(r"Resources:\n((?: +.+\n)+)", text)
    return ", ".join(" ".join(line.split()) for line in summary[1].splitlines()) if summary else "nothing"


class Story:
    """A stack on the rig, brought up and destroyed once per fault."""

    def __init__(self, folder: Path) -> None:
        self.rig = Rig(folder)
        self.rig.start()
        self.rig.configure("Pulumi.local.yaml")
        os.environ.update(self.rig.env)
        self.engine = Engine("local", config_file=self.rig.config_file)

    def up(self) -> Up:
        """What `make up` does from recovery on."""
        began, said = time.monotonic(), io.StringIO()
        break_stale(self.rig.folder / "pulumi", "local")
        drop_torn_sidecars(self.rig.folder / "pulumi")
        try:
            with contextlib.redirect_stderr(said):
                arguments = recover.recover(self.engine)
        except OperatorError as error:
            return Up(time.monotonic() - began, False, [str(error)], "nothing")
        result = self.rig.pulumi("up", *YES, *arguments, check=False)
        text = result.stdout + result.stderr
        found = [line for line in said.getvalue().splitlines() if line.strip()] + errors(text)
        return Up(time.monotonic() - began, result.returncode == 0, found, did(text))

    def case(self, wish: dict[str, Any]) -> dict[str, Any]:
        """An `up` of nothing under the fault, the next one without it, and a comparison of cloud and state."""
        store = self.rig.cloud.store
        fault_store.add(store, Fault(**wish))
        first = self.up()
        left = [fault.matched for fault in fault_store.listed(store)]
        fault_store.clear(store, [])
        second = self.up()
        settings = recover.settings_of(self.engine)
        state = json.loads(self.engine.capture("stack", "export"))
        servers = len(self.rig._rows("servers"))
        pending = len((state["deployment"] or {}).get("pending_operations") or [])
        self.engine.capture("destroy", *YES)
        rest = self.rig.objects()
        hit = not left or left[0] > 0
        good = hit and second.ok and servers == 1 and not pending and rest == 0 and settings is not None
        return {
            "first": vars(first),
            "next": vars(second),
            "good": good,
            "matched": left,
            "servers": servers,
            "rest": rest,
        }


def main(folder: Path) -> None:
    """Live through all cases (CASES=words of names, with commas, chooses) and leave rows.json."""
    story, rows = Story(folder), []
    for name, wish in CASES:
        if not any(word in name for word in os.environ.get("CASES", "").split(",")):
            continue
        row = {"fault": name, **story.case(wish)}
        rows.append(row)
        print(f"{name}: {'up completes' if row['first']['ok'] else 'up fails'} after {row['first']['seconds']:.0f} s; "
              f"next up: {'completes' if row['next']['ok'] else 'FAILS'}", file=sys.stderr, flush=True)  # fmt: skip
        (folder / "rows.json").write_text(json.dumps(rows))
    story.rig.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
