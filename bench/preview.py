"""`make bench-preview`: seconds of `pulumi preview` of a single server, next to one resource on the same SDK.

With the real engine where the provider plugin is at hand (Hetzner's is built by the toolchain); else the program
alone, under Pulumi's mocks, as a process from its start to its end. Best of ROUNDS, after one run that compiles.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.preview_program import REGIONS, STACK, config
from infra.keys import generate_signing_key
from ops.paths import REPO
from ops.show import json_line, say, table

ROUNDS = int(os.environ.get("ROUNDS", "5"))
AIM = 1.5
TIMEOUT = 300.0
PLUGINS = {
    "hetzner": "pulumi-resource-hcloud",
    "digitalocean": "pulumi-resource-digitalocean",
    "aws": "pulumi-resource-aws",
}
PROGRAM = """\
import json
from pathlib import Path
from bench import preview_program
raw = json.loads(Path("config.json").read_text())
preview_program.{which}
"""
CALLS = {"one": "one({cloud!r})", "full": "full({cloud!r}, raw)"}


@dataclass(frozen=True)
class Run:
    """Seconds by the clock, and of processor time in all processes. The second hardly depends on the machine's load."""

    clock: float
    cpu: float


def timed(command: list[str], folder: Path, env: dict[str, str]) -> Run:
    """Run `command` to its end. Raises RuntimeError with its output when it fails."""
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True, timeout=TIMEOUT, check=False)
    clock, after = time.perf_counter() - began, os.times()
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(clock, used)


def plugin(cloud: str) -> bool:
    """Whether the engine and the cloud's plugin are at hand."""
    pulumi = shutil.which("pulumi")
    built = list(Path(pulumi).parent.parent.glob(f"plugins/*/{PLUGINS[cloud]}")) if pulumi else []
    return bool(pulumi) and bool(built or shutil.which(PLUGINS[cloud]))


def prepare(cloud: str, folder: Path) -> dict[str, str]:
    """A project with a file:// backend in `folder`; the environment of the engine's calls."""
    raw = config(cloud, generate_signing_key())
    (folder / "config.json").write_text(json.dumps(raw))
    (folder / "Pulumi.yaml").write_text("name: sekha\nruntime: python\n")
    (folder / "state").mkdir()
    home = folder / "home"
    home.mkdir()
    tools = Path(shutil.which("pulumi") or "/").parent.parent / "plugins"
    if tools.is_dir():
        (home / "plugins").symlink_to(tools)
    env = {
        **os.environ, "PULUMI_HOME": str(home), "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "bench", "PULUMI_SKIP_UPDATE_CHECK": "true", "PYTHONPATH": str(REPO),
    }  # fmt: skip
    timed(["pulumi", "--non-interactive", "stack", "init", STACK], folder, env)
    path = folder / f"Pulumi.{STACK}.yaml"
    path.write_text(f"{path.read_text()}config: {json.dumps(raw)}\n")
    return env


def measure(cloud: str) -> tuple[str, dict[str, Run]]:
    """How it was measured, and the best of each figure for the program with `one` resource and the `full` one."""
    best = {}
    with tempfile.TemporaryDirectory() as name:
        folder, engine = Path(name), plugin(cloud)
        env = prepare(cloud, folder) if engine else dict(os.environ)
        for which in ("one", "full"):
            command = [sys.executable, "-m", "bench.preview_program", cloud, which]
            if engine:
                (folder / "__main__.py").write_text(PROGRAM.format(which=CALLS[which].format(cloud=cloud)))
                command = ["pulumi", "--non-interactive", "preview", "--stack", STACK]
            runs = [timed(command, folder if engine else REPO, env) for _ in range(1 + ROUNDS)][1:]
            best[which] = Run(min(run.clock for run in runs), min(run.cpu for run in runs))
    return "engine" if engine else "mocks", best


HEAD = ["cloud", "measured by", "one resource s", "single server s", "ratio", "one cpu s", "single cpu s", "cpu ratio"]


def main() -> None:
    rows, figures = [], {}
    for cloud in REGIONS:
        say(f"{cloud}: {ROUNDS} rounds")
        how, best = measure(cloud)
        one, full = best["one"], best["full"]
        clock, cpu = full.clock / one.clock, full.cpu / one.cpu
        rows.append((cloud, how, *(f"{value:.2f}" for value in (one.clock, full.clock, clock, one.cpu, full.cpu, cpu))))
        figures[cloud] = {
            "measured_by": how,
            "one": asdict(one),
            "full": asdict(full),
            "ratio": clock,
            "cpu_ratio": cpu,
        }
    print(table(HEAD, rows))
    print(f"aim: ratios under {AIM}")
    json_line({"ok": True, "rounds": ROUNDS, "aim": AIM, "load": os.getloadavg()[0], "clouds": figures})


if __name__ == "__main__":
    main()
