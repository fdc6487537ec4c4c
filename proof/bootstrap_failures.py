"""`make proof-bootstrap-failures`: what `pulumi up` says of a first boot that can't succeed, and how soon.

Takes the running local stack (make up), replaces its server three times (the data stays), mends it at the end: about 15
minutes (SHORT=1 leaves out the machine without a route, which is waited for longest; ONLY=route is that alone). Every
line that was printed is searched for every secret.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.release_rollout import FIRST_WORD
from localcloud.machines.paths import paths_from_env
from ops.engine import LOCAL
from ops.local import engine_of
from ops.show import json_line, say, table
from ops.up import ssh_command
from proof.entry import finish
from proof.machine import remote
from proof.operator_copy import Copy, Run, outputs, server_ids

NODE = "sekha-local-1"
STORE, HOST = "198.51.100.2", "100.64.0.1"  # the host as the router sees it
ENGINE = 180.0  # seconds that engine and cloud may take beside the waiting for the machine
FILL = "fallocate -l $(($(stat -f -c '%f*%S' /) - 2000000)) /filler"  # what is kept for root, too
CADDY, CHROMA = "cloud-init/caddy/meta.yaml", "cloud-init/chroma/files/etc/systemd/system/sekha-chroma.service.j2"


@dataclass
class Failures:
    """The cases so far. `bound` in seconds; `wanted`: texts that must be in what `up` said."""

    copy: Copy
    rows: list[tuple[str, float, float, str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def case(self, name: str, bound: float, *wanted: str, **env: str) -> None:
        run = self.copy.up(**env)
        lines = [line.strip() for line in run.said.splitlines() if wanted[0] in line]
        missing = [text for text in wanted if text not in run.said]
        kept = run.code != 0 and not missing and run.seconds <= bound
        found = lines[0][lines[0].find(wanted[0]) :] if lines else f"NOT SAID: {missing}"
        self.rows.append((name, run.seconds, bound, found[:130], "yes" if kept else "NO"))
        say(f"{name}: {found[:200]}")
        if not kept:
            self.broken.append(f"{name}: {missing or 'too late, or no failure'}")
            print(run.said[-5000:], file=sys.stderr)

    def mended(self, name: str, run: Run) -> None:
        """`up` works again; what it took is a row, too."""
        self.rows.append((name, run.seconds, 300, f"exit code {run.code}", "yes" if run.code == 0 else "NO"))
        if run.code != 0:
            self.broken.append(name)
            print(run.said[-5000:], file=sys.stderr)


@contextmanager
def no_route() -> Iterator[None]:
    """The machines' packets to the object store are dropped in the local cloud's router; the host's are not."""
    nft = ["ip", "netns", "exec", "slc", "nft"]
    drop = f"ip saddr != {HOST} ip daddr {STORE} drop"
    rule = f"table inet proof {{ chain in {{ type filter hook input priority -10; {drop}; }}; }}"
    subprocess.run([*nft, rule], check=True)
    try:
        yield
    finally:
        subprocess.run([*nft, "delete", "table", "inet", "proof"], check=True)


def leaked(texts: list[str]) -> list[str]:
    """Names of the config's secrets that one of `texts` holds."""
    found = engine_of(LOCAL).secrets()
    secret = {name: value for name, value in found.items() if "key" in name.lower() or "token" in name.lower()}
    public = {name for name in secret if name.endswith("sshPublicKeys")}
    whole = "\n".join(texts)
    return [
        name
        for name, value in secret.items()
        if name not in public and any(part in whole for part in value.splitlines() if len(part) >= 12)
    ]


def consoles() -> list[str]:
    """What the machines wrote to their consoles."""
    folder: Path = paths_from_env().cloud / "servers"
    return [path.read_text(errors="replace") for path in folder.glob("*/console.log")]


def bad_releases(failures: Failures, ssh: str) -> None:
    """What the machine, or the program, can tell by itself."""
    copy = failures.copy
    copy.edit("ops/local.py", 'cloud["S3_NODE_SECRET_KEY"],', 'cloud["S3_NODE_SECRET_KEY"] + "x",')
    failures.case("wrong bucket key", ENGINE, "the object store refuses the machines' key", "nodeSecretKey")
    copy.restore("ops/local.py")
    copy.edit(CADDY, "packages: [", "packages: [no-such-package-sekha, ")
    failures.case("no such package", ENGINE + 600, "failed at stage packages",
                  "E: Unable to locate package no-such-package-sekha")  # fmt: skip
    copy.restore(CADDY)
    start = next(line for line in (copy.folder / CHROMA).read_text().splitlines() if line.startswith("ExecStart="))
    copy.edit(CHROMA, start, "ExecStart=/bin/sh -c 'echo chroma is broken on purpose; exit 3'")
    failures.case("a unit that fails", ENGINE + 300, "failed at stage vectors", "chroma is broken on purpose")
    copy.restore(CHROMA)
    remote(ssh, FILL)
    failures.case("full disk", ENGINE + 300, "No space left on device", "failed at stage")
    remote(ssh, "rm /filler")
    failures.mended("the same machine, mended", copy.up())


def main() -> int:
    """0 when each case was said in time, no secret was shown, and the stack serves again."""
    ssh = ssh_command(LOCAL, dict(outputs()))
    servers = server_ids()
    with Copy() as copy:
        failures = Failures(copy)
        if os.environ.get("ONLY") != "route":
            bad_releases(failures, ssh)
        if os.environ.get("SHORT") != "1":
            with no_route():
                failures.case("no route to the bucket", FIRST_WORD + ENGINE, "never reached the bucket within",
                              "Open its console", REPLACE=NODE)  # fmt: skip
            failures.mended("route back", copy.up())
        shown = leaked([*copy.log, *consoles()])
    if server_ids() == servers:
        failures.broken.append("no server was replaced: these were no first boots")
    failures.broken += [f"{name} was printed" for name in shown]
    print(table(["first boot with", "seconds", "bound", "what pulumi up says", "as promised"], failures.rows))
    print(f"secrets in {len(copy.log)} outputs and {len(consoles())} consoles: {', '.join(shown) or 'none'}")
    figures = {name: round(seconds, 1) for name, seconds, *_ in failures.rows}
    json_line({"seconds": figures, "broken": failures.broken, "leaked": shown})
    return 1 if failures.broken else 0


if __name__ == "__main__":
    finish(main)
