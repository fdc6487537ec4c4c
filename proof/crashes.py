"""`make proof-crashes`: kill -9 and power cuts at many points of `up` and `destroy`; each next `make up` completes.

After each the API's list must equal the state. CRASHES=name,name runs those alone (names as in the table's first
columns, e.g. "up pulumi server runs"). Works on the local stack and leaves it up; its data are made for this proof.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.clouds import hetzner_inventory
from infra.settings import Settings
from localcloud.machines import guest, process
from localcloud.machines.paths import paths_from_env
from ops import recover
from ops.engine import LOCAL, Engine, OperatorError
from ops.local import engine_of
from ops.paths import REPO
from ops.show import json_line, say, table
from proof.crash_points import DESTROY, UP, Watch
from proof.entry import finish

CHANCES = 3  # to see a point that may be over within a second: where it was missed, nothing was tried
ENDS_WITHIN = 5.0  # seconds after the engine's death in which its processes have to be gone


@dataclass(frozen=True)
class Case:
    """Whom it hits, in which command, at which point."""

    command: str
    victim: str
    point: str

    def __str__(self) -> str:
        return f"{self.command} {self.victim} {self.point}"


CASES = [
    *(Case("up", "pulumi", point) for point in UP if point not in ("stage database",)),
    *(Case("up", "daemon", point) for point in ("server asked for", "volume made", "stage packages")),
    *(Case("up", "agent", point) for point in ("stage packages", "stage database", "stage service")),
    *(Case("up", "machine", point) for point in ("server runs", "stage packages", "stage service")),
    *(Case("destroy", "pulumi", point) for point in DESTROY),
    *(Case("destroy", "daemon", point) for point in ("release taken back", "server stops")),
    Case("destroy", "agent", "release taken back"),
    Case("destroy", "machine", "release taken back"),
]


@dataclass
class Run:
    """A `make` command under way."""

    child: subprocess.Popen[bytes]
    log: Path

    def ended(self) -> bool:
        return self.child.poll() is not None

    def family(self) -> dict[int, str]:
        """Its living descendants: pid -> name."""
        found, names, stats = {self.child.pid: "make"}, {}, {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                head, _, tail = entry.read_text().rpartition(")")
                stats[int(entry.parent.name)] = (int(tail.split()[1]), head.partition("(")[2], tail.split()[0])
        for pid in sorted(stats):  # a child's number may be lower than its parent's after a wrap: twice is enough
            names[pid] = stats[pid][1]
        for _ in range(8):
            found |= {pid: names[pid] for pid, (parent, _, state) in stats.items() if parent in found and state != "Z"}
        return found

    def engine(self) -> int | None:
        """The process of the engine."""
        return next((pid for pid, name in self.family().items() if name == "pulumi"), None)


def make(target: str, log: Path) -> Run:
    """Start `make TARGET` in a session of its own."""
    command = ["make", "-s", "-C", str(REPO), target]
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
    return Run(child, log)


class Striker:
    """The ways to break something of the local stack."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.paths = settings, paths_from_env()

    def strike(self, victim: str, run: Run) -> str:
        """Hit `victim`; what became of the run that was under way."""
        ways: dict[str, Callable[[Run], str]] = {
            "pulumi": self._pulumi, "daemon": self._daemon, "agent": self._agent, "machine": self._machine,
        }  # fmt: skip
        return ways[victim](run)

    def _pulumi(self, run: Run) -> str:
        family, engine = run.family(), run.engine()
        if engine is None:
            return "NO ENGINE FOUND"
        os.kill(engine, signal.SIGKILL)
        end = time.monotonic() + ENDS_WITHIN
        while left := [name for pid, name in family.items() if name.startswith("pulumi") and _alive(pid)]:
            if time.monotonic() > end:
                return f"LEFT BEHIND: {', '.join(left)}"
            time.sleep(0.05)
        return _end(run)

    def _daemon(self, run: Run) -> str:
        found = process.load(self.paths.run / "daemon.pid")
        if found is None:
            return "NO DAEMON FOUND"
        found.kill(signal.SIGKILL)
        return _end(run)

    def _agent(self, run: Run) -> str:
        # By the unit, so that what the agent has started (cloud-init, apt) dies with it.
        self._inside("systemctl", "kill", "--signal=KILL", "sekha-agent.service")
        return _end(run)

    def _machine(self, run: Run) -> str:
        guest.pull_plug(self._folder())
        return _end(run)  # by itself: the release notices that the machine is silent

    def _folder(self) -> Path:
        (server,) = [
            thing for thing in hetzner_inventory.listed(self.settings) if thing.type == hetzner_inventory.SERVER
        ]
        return self.paths.server(int(server.id))

    def _inside(self, *command: str) -> None:
        guest.run_inside(self._folder(), *command)


def _alive(pid: int) -> bool:
    return process.start_time(pid) is not None


def _end(run: Run) -> str:
    """How the run ends: its exit code and what it said last."""
    try:
        code = run.child.wait(300)
    except subprocess.TimeoutExpired:
        os.killpg(run.child.pid, signal.SIGKILL)
        run.child.wait()
        return "HUNG"
    return "completes" if code == 0 else f"fails ({code})"


def complete(target: str, log: Path) -> float:
    """`make TARGET` to its end; its seconds. Raises OperatorError with the end of its output when it fails."""
    started = time.monotonic()
    run = make(target, log)
    if run.child.wait() != 0:
        raise OperatorError(f"make {target} failed:\n{log.read_text(errors='replace')[-3000:]}")
    return time.monotonic() - started


def settings_of(engine: Engine) -> Settings:
    """The stack's settings. Raises OperatorError when its config can't be used."""
    settings = recover.settings_of(engine)
    if settings is None:
        raise OperatorError("the config of the local stack can't be used; `make up` says why")
    return settings


def compare(engine: Engine) -> tuple[int, int]:
    """(objects in the cloud that the state lacks, rows of the state that the cloud lacks or that are unfinished)."""
    settings = settings_of(engine)
    state = json.loads(engine.capture("stack", "export"))
    decision = recover.look(state, settings, hetzner_inventory)
    pending = (state.get("deployment") or {}).get("pending_operations") or []
    return len(decision.adopt) + len(decision.strangers), len(decision.missing) + len(pending)


def run_case(case: Case, engine: Engine, folder: Path) -> tuple[Case, str, float, int, int]:
    """One crash and the `make up` after it; the stack is in the state that the case's command starts from."""
    settings, points = settings_of(engine), UP if case.command == "up" else DESTROY
    for chance in range(CHANCES, 0, -1):
        run = make(case.command, folder / "interrupted.log")
        reached = Watch(settings).wait(points[case.point], run.ended)
        outcome = Striker(settings).strike(case.victim, run) if reached else f"POINT NOT REACHED; {_end(run)}"
        if reached or chance == 1:
            break
        say(f"{case}: over before it was seen; once more")
        complete("destroy" if case.command == "up" else "up", folder / "again.log")
    seconds = complete("up", folder / "next-up.log")
    return case, outcome, seconds, *compare(engine)


def main() -> int:
    """Run the cases; 1 when an `up` after one of them fails or leaves a difference."""
    wanted = [name.strip() for name in os.environ.get("CRASHES", "").split(",") if name.strip()]
    cases = [case for case in CASES if not wanted or str(case) in wanted]
    if unknown := [name for name in wanted if name not in map(str, CASES)]:
        raise OperatorError(f"unknown: {', '.join(unknown)}; known: {', '.join(map(str, CASES))}")
    engine, folder = engine_of(LOCAL), paths_from_env().cache / "proof-crashes"
    folder.mkdir(exist_ok=True, mode=0o700)
    complete("up", folder / "first-up.log")
    ups = [case for case in cases if case.command == "up"]
    rows = []
    # A destroy to strike costs no destroy of its own, so the two kinds take turns.
    ordered = [case for pair in zip_all([case for case in cases if case.command != "up"], ups) for case in pair]
    for number, case in enumerate(ordered, 1):
        if case.command == "up":
            complete("destroy", folder / "destroy.log")
        row = run_case(case, engine, folder)
        rows.append(row)
        say(f"{number} of {len(ordered)}: {case}: {row[1]}; next up {row[2]:.1f} s, {row[3]} orphans, {row[4]} lost")
    print(table(
        ["command", "victim", "point", "the interrupted run", "next up, s", "orphans", "missing"],
        [(case.command, case.victim, case.point, outcome, seconds, orphans, missing)
         for case, outcome, seconds, orphans, missing in rows],
    ))  # fmt: skip
    bad = [str(case) for case, outcome, _, orphans, missing in rows if orphans or missing or loud(outcome)]
    json_line({
        "cases": [{"case": str(case), "outcome": outcome, "next_up_seconds": round(seconds, 1), "orphans": orphans,
                   "missing": missing} for case, outcome, seconds, orphans, missing in rows],
        "bad": bad,
    })  # fmt: skip
    return 1 if bad else 0


def loud(outcome: str) -> bool:
    """Whether an outcome tells of something that must not be; such are written in capitals."""
    return any(word.isupper() and len(word) > 2 for word in outcome.replace(":", " ").split())


def zip_all(one: list[Case], other: list[Case]) -> list[list[Case]]:
    """Pairs of both lists, the rest alone."""
    return [[*one[i : i + 1], *other[i : i + 1]] for i in range(max(len(one), len(other)))]


if __name__ == "__main__":
    finish(main)
