"""What several commands need: refusals, progress, which state folder is meant, is the API there."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import replace

from localcloud import daemon
from localcloud.machines import process
from localcloud.machines.paths import Paths, paths_from_env
from localcloud.store import Store

MARK = "no-machines"  # a file of this name in the state folder: its servers have no machines


class RefusedError(Exception):
    """The command can't do what was asked; the text is for the operator."""


def say(text: str) -> None:
    """One line of progress."""
    print(f"localcloud: {text}", file=sys.stderr, flush=True)


def chosen(*, no_machines: bool = False, up: bool = False) -> Paths:
    """The folders of the local cloud that is meant.

    The one without machines has a state folder of its own; it is meant by `no_machines`, or (not for `up`) when it is
    the one that runs. SEKHA_CLOUD_DIR decides where it is set.
    """
    paths = paths_from_env()
    if os.environ.get("SEKHA_CLOUD_DIR"):
        return paths
    other = replace(paths, cloud=paths.cache / "cloud-api")
    if no_machines or (not up and not runs(paths) and runs(other)):
        return other
    return paths


def runs(paths: Paths) -> bool:
    """True while its daemon lives."""
    return process.load(paths.run / "daemon.pid") is not None


def without_machines(paths: Paths) -> bool:
    """True if the state in that folder is of a local cloud without machines."""
    return (paths.cloud / MARK).exists()


def need_root(paths: Paths) -> None:
    """Raise RefusedError unless we are root, which machines need."""
    if os.getuid() != 0 and not without_machines(paths):
        raise RefusedError(f"not root (user id {os.getuid()}): run as root or by sudo")


def project_token(paths: Paths, *, new: bool = False) -> str:
    """A token: of the project `default` (made at the first call), or of a new, empty project."""
    with closing(Store(paths.database)) as store, store.transaction():
        names = {name: number for number, name in store.projects()}
        if new:
            return store.add_token(store.add_project(f"project-{len(names) + 1}"))
        project = names.get("default") or store.add_project("default")
        tokens = store.tokens(project)
        return tokens[0] if tokens else store.add_token(project)


def api_port(paths: Paths) -> int:
    """The port the running daemon serves, else the one it would."""
    file = paths.run / "port"
    return int(file.read_text()) if file.exists() else daemon.port()


def api_url(paths: Paths) -> str:
    """The API's address, as HCLOUD_ENDPOINT wants it."""
    return f"http://127.0.0.1:{api_port(paths)}/v1"


def api_answers(paths: Paths, token: str) -> bool:
    """True if our API answers to our token."""
    url = f"http://127.0.0.1:{api_port(paths)}/v1/locations"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
