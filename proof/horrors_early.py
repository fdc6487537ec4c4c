"""Horrors of a rebuild that downloads while the lease of a primary still runs out: that primary was not dead."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator

from proof.horrors_primary import FURNISH, HOLDER, OTHER, SECOND, fenced_within, hold_second, take_back
from proof.horrors_rig import CLUSTERS, Outcome, Rig, last_line

HANG, WAKE = (f"systemctl kill -s {signal} sekha-lease.service" for signal in ("STOP", "CONT"))
BEGUN, DOWNLOADED, REMOVED = "downloading while", "is downloaded", "was downloaded early is removed"
FILES = f"{SECOND}{CLUSTERS}"


def told(rig: Rig, command: str, sign: str, then: Callable[[], object]) -> tuple[int, str]:
    """As `Rig.attempt`, and `then` once, as soon as a line holds `sign`."""
    process = subprocess.Popen(
        rig.machine.command(f"bash -c {shlex.quote(command)} 2>&1"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    said, done = "", False
    with process:
        for line in process.stdout or ():
            said += line
            if sign in line and not done:
                done = True
                then()
    return process.returncode, said.strip()


def early(rig: Rig) -> Iterator[Outcome]:
    """The daemon of the lease hangs, the database does not; a rebuild elsewhere takes the machine for dead."""
    rows = rig.write()
    rig.run("systemctl start sekha-lease.service")
    rig.run(FURNISH)
    rig.run(HANG)
    code, said = told(rig, f"{OTHER} bring-up", DOWNLOADED, lambda: rig.run(WAKE))
    gone = rig.attempt(f"test -e {FILES}/restoring || test -e {FILES}/main")[0] != 0
    served, right = rig.all_served(rows)
    yield Outcome("a rebuild has downloaded early, and the primary renews its lease after all", last_line(said),
                  f"the primary: {served}",
                  code != 0 and HOLDER in said and REMOVED in said and gone and right)  # fmt: skip
    rig.run(HANG)
    code, said = rig.attempt(
        f"{OTHER} bring-up >/run/horror 2>&1 & pid=$!; "
        f"until grep -q '{BEGUN}' /run/horror && [ -d {FILES}/restoring ] || ! kill -0 $pid; do sleep 0.02; done; "
        "kill -9 $pid; wait $pid; code=$?; cat /run/horror; exit $code"
    )
    nothing = rig.attempt(f"test -e {FILES}/main")[0] != 0
    served, right = rig.all_served(rows)
    yield Outcome("kill -9 of a rebuild in its early download", last_line(said), f"the primary: {served}",
                  code != 0 and BEGUN in said and nothing and right)  # fmt: skip
    written = [rows]
    code, said = told(rig, f"{OTHER} bring-up", DOWNLOADED, lambda: written.append(rig.write()))
    restored = next((line for line in said.splitlines() if line.startswith("restored: ")), said[-300:])
    hold_second(rig)
    rig.run(WAKE)
    waited = fenced_within(rig)
    served, nothing = rig.nothing_served_here()
    yield Outcome("the next try, and the primary takes writes while that downloads",
                  f"{restored.split(': {')[0]}; the old one stopped itself after {waited:.0f} s",
                  f"the old one: {served}",
                  code == 0 and '"early": true' in restored and written[-1] > rows and nothing)  # fmt: skip
    result = take_back(rig)
    yield rig.restored("what the rebuild has: all that was written meanwhile", result, written[-1])
    rig.attempt("rm -f /run/horror")
