"""`localcloud console` and `localcloud logs`: into a machine."""

from __future__ import annotations

import os
from pathlib import Path

from localcloud.backend import ServerSpec
from localcloud.commands.common import RefusedError, need_root, without_machines
from localcloud.machines import guest
from localcloud.machines.paths import Paths
from localcloud.machines.real import RealBackend


def _find(paths: Paths, server: str) -> ServerSpec:
    if without_machines(paths):
        raise RefusedError("this local cloud has no machines (`up --no-machines`): there is nothing inside a server")
    specs = RealBackend(paths, Path("/nonexistent")).specs()
    found = [spec for spec in specs if server in (spec.name, str(spec.id))]
    if len(found) != 1:
        known = ", ".join(f"{spec.name} ({spec.id})" for spec in specs) or "none"
        raise RefusedError(f"{'no' if not found else 'more than one'} server {server!r}; there are: {known}")
    return found[0]


def console(paths: Paths, server: str) -> int:
    """A root shell inside a running machine."""
    need_root(paths)
    spec = _find(paths, server)
    command = [*guest.enter(paths.server(spec.id)), "--", "/bin/bash", "--login"]
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    os.execvpe(command[0], command, {**env, "TERM": os.environ.get("TERM", "dumb")})  # noqa: S606


def logs(paths: Paths, server: str) -> int:
    """What the machine wrote to its console and, if it runs, its journal since boot."""
    need_root(paths)
    folder = paths.server(_find(paths, server).id)
    print(guest.console(folder), end="")
    if guest.is_running(folder):
        print(guest.run_inside(folder, "journalctl", "-b", "--no-pager", "-o", "short-iso"), end="")
    return 0
