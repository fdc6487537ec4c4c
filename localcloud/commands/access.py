"""`localcloud env` and `localcloud web`: how a client, or a browser, gets in."""

from __future__ import annotations

import json
import shlex
from contextlib import closing

from localcloud import objects
from localcloud.commands.common import (
    RefusedError,
    api_url,
    need_root,
    project_token,
    runs,
    say,
    without_machines,
)
from localcloud.machines.paths import Paths
from localcloud.store import Store


def reading_token(paths: Paths, token: str) -> str:
    """A token of the same project that may only read; made at the first call."""
    with closing(Store(paths.database)) as store, store.transaction():
        project, _ = store.find_token(token) or (0, True)
        tokens = store.tokens(project, read_only=True)
        return tokens[0] if tokens else store.add_token(project, read_only=True)


def environment(paths: Paths, *, new_project: bool) -> dict[str, str]:
    """What a client of the local cloud needs. Without machines there is no object store."""
    url, token = api_url(paths), project_token(paths, new=new_project)
    values = {"HCLOUD_ENDPOINT": url, "HETZNER_ENDPOINT": url, "HCLOUD_TOKEN": token}  # HETZNER_: of storage boxes
    if without_machines(paths):
        return values
    store = {"S3_ENDPOINT": objects.ENDPOINT, "S3_REGION": objects.REGION, **objects.keys(paths)}
    return {**values, **store, "S3_CA_FILE": str(paths.ca / "ca.pem")}


def env(paths: Paths, *, new_project: bool, read_only: bool, as_json: bool) -> int:
    """Print the environment, as shell exports or JSON."""
    need_root(paths)
    if not runs(paths):
        say("the local cloud is down; `bin/localcloud up` starts it")
    paths.make()
    values = environment(paths, new_project=new_project)
    if read_only:
        values["HCLOUD_TOKEN"] = reading_token(paths, values["HCLOUD_TOKEN"])
    if as_json:
        print(json.dumps(values))
    else:
        for name, value in values.items():
            print(f"export {name}={shlex.quote(value)}")
    return 0


def web(paths: Paths) -> int:
    """Print the web console's address, with the key that opens it."""
    need_root(paths)
    file = paths.run / "web-port"
    if not runs(paths) or not file.exists():
        raise RefusedError("the local cloud is down; `bin/localcloud up` starts it, and the web console with it")
    print(f"http://127.0.0.1:{int(file.read_text())}/#{(paths.cloud / 'web-key').read_text()}")
    return 0
