"""`localcloud up`: find the local cloud running, or start it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from localcloud import acme_issuer, certs, daemon, objects, preflight
from localcloud.commands.common import (
    MARK,
    RefusedError,
    api_answers,
    api_url,
    project_token,
    say,
    without_machines,
)
from localcloud.image import build
from localcloud.machines import cleanup, hostpkgs, process, services
from localcloud.machines.paths import Paths
from localcloud.machines.sh import write

API_LIMIT = 90.0  # s for the API to answer, machines that start again included


def code() -> str:
    """Hash of the local cloud's own files: a daemon of other code is replaced by `up`."""
    folder = Path(__file__).parent.parent
    wanted = (".py", ".yaml", ".html", ".js", ".css")
    files = sorted(path for path in folder.rglob("*") if path.suffix in wanted and path.is_file())
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def check_host(paths: Paths) -> None:
    """Raise RefusedError with every problem preflight finds."""
    found = preflight.problems(preflight.gather(paths, daemon.port()))
    if found:
        raise RefusedError("\n".join(found))


def up(paths: Paths, *, no_machines: bool = False) -> int:
    """Start the local cloud (or find it running); prints the seconds of each stage."""
    if paths.database.exists() and no_machines != without_machines(paths):
        having, flag = ("with", "without --no-machines") if no_machines else ("without", "with --no-machines")
        raise RefusedError(f"{paths.cloud} holds a local cloud {having} machines: start it {flag}, or unset SEKHA_CLOUD_DIR")  # fmt: skip # noqa: E501
    if process.load(paths.run / "daemon.pid") and api_answers(paths, project_token(paths)):
        if (paths.run / "code").exists() and (paths.run / "code").read_text() == code():
            say(f"already up at {api_url(paths)}")
            return 0
        say("the daemon runs other code than this: starting it anew; machines go on running")
    process.stop(paths.run / "daemon.pid")  # one that doesn't answer, or an older one
    if no_machines:
        return _up_without_machines(paths)
    check_host(paths)
    if hostpkgs.missing():
        hostpkgs.ensure(say)
        check_host(paths)
    owner = cleanup.owner()
    if owner and owner["cloud"] != str(paths.cloud):
        say(f"cleaning up after the dead local cloud of {owner['cloud']}")
        cleanup.teardown(Paths(cache=paths.cache, cloud=Path(owner["cloud"])))
    paths.make()
    certs.ensure(paths.ca)
    began = time.monotonic()
    image = build.ensure(paths, say)
    versitygw = objects.binary()
    seconds = {"image": time.monotonic() - began}
    say(f"image {seconds['image']:.1f} s")
    cleanup.claim(paths)
    seconds["api"] = _start(paths, [versitygw, str(image)])
    _report(paths, seconds)
    return 0


def _up_without_machines(paths: Paths) -> int:
    if preflight.taken(daemon.port()):
        raise RefusedError(preflight.port_taken(daemon.port()))
    paths.make()
    (paths.cloud / MARK).touch()
    certs.ensure(paths.ca)
    _report(paths, {"api": _start(paths, ["--no-machines"])})
    return 0


def _start(paths: Paths, arguments: list[str]) -> float:
    """Start the daemon; seconds until the API answers."""
    began = time.monotonic()
    token = project_token(paths)
    log = paths.run / "daemon.log"
    write(paths.run / "code", code())
    command = services.python_module("localcloud.daemon", *arguments)
    running = process.spawn(command, paths.run / "daemon.pid", log, _daemon_env(paths))
    while not api_answers(paths, token):
        if not running.alive() or time.monotonic() - began > API_LIMIT:
            tail = "\n".join(log.read_text().splitlines()[-12:])
            raise RefusedError(f"the API does not answer; end of {log}:\n{tail}")
        time.sleep(0.05)
    return time.monotonic() - began


def _report(paths: Paths, seconds: dict[str, float]) -> None:
    say(f"api {seconds['api']:.1f} s; up at {api_url(paths)}; `bin/localcloud web` shows it in a browser")
    if os.environ.get("JSON") == "1":
        print(json.dumps({"seconds": {name: round(value, 2) for name, value in seconds.items()}}))


def _daemon_env(paths: Paths) -> dict[str, str]:
    keep = ("SEKHA_", "LOCALCLOUD_", "XDG_CACHE_HOME", "HOME", "GOPROXY", "PIP_", "SSL_CERT_")
    env = {
        name: value for name, value in os.environ.items() if name.startswith(keep) or name.lower().endswith("_proxy")
    }
    own = {"SEKHA_CLOUD_DIR": str(paths.cloud), "PYTHONPATH": str(services.REPO), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**env, **own, acme_issuer.SEARCH: os.environ.get("PATH", "")}
