"""localcloud: up, down, status, console, logs, unavailable, fault, check, env. See docs/localcloud.md."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shlex
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from localcloud import catalog, certs, daemon, fault_cli, objects, preflight
from localcloud.aptconf import AptSourcesError
from localcloud.backend import BackendError, ServerSpec
from localcloud.check import compare
from localcloud.image import build
from localcloud.machines import census, cleanup, guest, hostpkgs, process, services
from localcloud.machines.paths import OWNER_FILE, Paths, paths_from_env
from localcloud.machines.real import RealBackend
from localcloud.machines.sh import read_json, write
from localcloud.store import Store

API_LIMIT = 90.0  # s for the API to answer, machines that start again included


class RefusedError(Exception):
    """The command can't do what was asked; the text is for the operator."""


def say(text: str) -> None:
    """One line of progress."""
    print(f"localcloud: {text}", file=sys.stderr, flush=True)


def project_token(paths: Paths, *, new: bool = False) -> str:
    """A token: of the project `default` (made at the first call), or of a new, empty project."""
    store = Store(paths.database)
    try:
        with store.transaction():
            names = {name: number for number, name in store.projects()}
            if new:
                return store.add_token(store.add_project(f"project-{len(names) + 1}"))
            project = names.get("default") or store.add_project("default")
            tokens = store.tokens(project)
            return tokens[0] if tokens else store.add_token(project)
    finally:
        store.close()


def reading_token(paths: Paths, token: str) -> str:
    """A token of the same project that may only read; made at the first call."""
    with closing(Store(paths.database)) as store, store.transaction():
        project, _ = store.find_token(token) or (0, True)
        tokens = store.tokens(project, read_only=True)
        return tokens[0] if tokens else store.add_token(project, read_only=True)


def fault(paths: Paths, options: argparse.Namespace) -> int:
    """The command `fault`."""
    _need_root()
    with closing(Store(paths.database)) as store:
        try:
            print(fault_cli.run(store, options))
        except ValueError as error:
            raise RefusedError(str(error)) from None
    return 0


def check(paths: Paths) -> int:
    """Compare state and host; exit code 1 if they don't agree."""
    _need_root()
    with closing(Store(paths.database)) as store:
        checked, problems = compare(store, census.take(paths))
    print(*problems, f"{checked} compared, {len(problems)} disagree", sep="\n")
    if os.environ.get("JSON") == "1":
        print(json.dumps({"compared": checked, "problems": problems}))
    return 1 if problems else 0


def api_port(paths: Paths) -> int:
    """The port the running daemon serves, else the one it would."""
    file = paths.run / "port"
    return int(file.read_text()) if file.exists() else daemon.port()


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


def code() -> str:
    """Hash of the local cloud's own files: a daemon of other code is replaced by `up`."""
    folder = Path(__file__).parent
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".yaml") and path.is_file())
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def check_host(paths: Paths) -> None:
    """Raise RefusedError with every problem preflight finds."""
    found = preflight.problems(preflight.gather(paths, daemon.port()))
    if found:
        raise RefusedError("\n".join(found))


def up(paths: Paths) -> int:
    """Start the local cloud (or find it running); prints the seconds of each stage."""
    if process.load(paths.run / "daemon.pid") and api_answers(paths, project_token(paths)):
        if (paths.run / "code").exists() and (paths.run / "code").read_text() == code():
            say(f"already up at http://127.0.0.1:{api_port(paths)}/v1")
            return 0
        say("the daemon runs other code than this: starting it anew; machines go on running")
    process.stop(paths.run / "daemon.pid")  # one that doesn't answer, or an older one
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
    seconds = {}
    began = time.monotonic()
    image = build.ensure(paths, say)
    versitygw = objects.binary()
    seconds["image"] = time.monotonic() - began
    say(f"image {seconds['image']:.1f} s")
    began = time.monotonic()
    cleanup.claim(paths)
    token = project_token(paths)
    log = paths.run / "daemon.log"
    command = services.python_module("localcloud.daemon", versitygw, str(image))
    write(paths.run / "code", code())
    running = process.spawn(command, paths.run / "daemon.pid", log, _daemon_env())
    while not api_answers(paths, token):
        if not running.alive() or time.monotonic() - began > API_LIMIT:
            tail = "\n".join(log.read_text().splitlines()[-12:])
            raise RefusedError(f"the API does not answer; end of {log}:\n{tail}")
        time.sleep(0.05)
    seconds["api"] = time.monotonic() - began
    say(f"api {seconds['api']:.1f} s; up at http://127.0.0.1:{api_port(paths)}/v1")
    if os.environ.get("JSON") == "1":
        print(json.dumps({"seconds": {name: round(value, 2) for name, value in seconds.items()}}))
    return 0


def _daemon_env() -> dict[str, str]:
    keep = ("SEKHA_", "LOCALCLOUD_", "XDG_CACHE_HOME", "HOME")
    env = {
        name: value for name, value in os.environ.items() if name.startswith(keep) or name.lower().endswith("_proxy")
    }
    return {**env, "PYTHONPATH": str(services.REPO), "PYTHONDONTWRITEBYTECODE": "1"}


def down(paths: Paths) -> int:
    """Power everything off and remove all of it from the host; data stays in the cache."""
    _need_root()
    other = cleanup.living_other(paths)
    if other:  # names on the host are the same for all: ours would take its machines down, and not orderly
        raise RefusedError(preflight.another_runs(str(other)))
    process.stop(paths.run / "daemon.pid", timeout=15)
    (paths.run / "port").unlink(missing_ok=True)
    began = time.monotonic()
    RealBackend(paths, Path("/nonexistent")).shut_down()
    cleanup.teardown(paths)
    left = cleanup.leftovers(paths)
    if left:
        raise RefusedError("left behind:\n" + "\n".join(left))
    say(f"down after {time.monotonic() - began:.1f} s; nothing left behind")
    return 0


def status(paths: Paths) -> int:
    """Print what runs. Exit code 0 if the API answers, 3 if the local cloud is down."""
    _need_root()
    answers = (paths.run / "daemon.pid").exists() and api_answers(paths, project_token(paths))
    backend = RealBackend(paths, Path("/nonexistent"))
    servers = [
        {"id": s.id, "name": s.name, "ipv4": s.ipv4, "status": "running" if backend.is_running(s.id) else "off",
         "cores": s.cores, "memory_gb": s.memory_gb} for s in backend.specs()
    ]  # fmt: skip
    running = {name: bool(process.load(paths.run / f"{name}.pid")) for name in services.NAMES}
    print(f"API        {f'up at http://127.0.0.1:{api_port(paths)}/v1' if answers else 'down'}")
    for name, alive in running.items():
        print(f"{name:<10} {'running' if alive else 'stopped'}")
    print(f"\n{'ID':>8}  {'SERVER':<24} {'STATUS':<8} {'IPV4':<16} CORES  GB")
    for s in servers:
        print(
            f"{s['id']:>8}  {s['name']:<24} {s['status']:<8} {s['ipv4'] or '-':<16} {s['cores']:>5} {s['memory_gb']:>3}"
        )
    left = cleanup.leftovers(paths)
    if not answers and left:
        print("\nLeft on the host (`localcloud down` removes it):", *left, sep="\n  ")
    if os.environ.get("JSON") == "1":
        print(json.dumps({"api": answers, "services": running, "servers": servers, "on_host": left}))
    return 0 if answers else 3


def sell_out(paths: Paths, wanted: list[str]) -> int:
    """Make exactly these TYPE@LOCATION impossible to order; servers that are there stay."""
    store = Store(paths.database)
    try:
        known = {(row["name"], place["name"]) for row in catalog.server_types() for place in row["locations"]}
        rows = {(name, place) for name, _, place in (text.partition("@") for text in wanted)}
        if unknown := rows - known:
            names = ", ".join(f"{name}@{place}" for name, place in sorted(unknown))
            raise RefusedError(f"not sold anyway: {names}; write TYPE@LOCATION, as cx23@fsn1")
        store.set_unavailable(rows)
    finally:
        store.close()
    say(f"sold out: {', '.join(sorted(wanted)) or 'nothing'}")
    return 0


def _find(paths: Paths, server: str) -> ServerSpec:
    specs = RealBackend(paths, Path("/nonexistent")).specs()
    found = [spec for spec in specs if server in (spec.name, str(spec.id))]
    if len(found) != 1:
        known = ", ".join(f"{spec.name} ({spec.id})" for spec in specs) or "none"
        raise RefusedError(f"{'no' if not found else 'more than one'} server {server!r}; there are: {known}")
    return found[0]


def console(paths: Paths, server: str) -> int:
    """A root shell inside a running machine."""
    _need_root()
    spec = _find(paths, server)
    command = [*guest.enter(paths.server(spec.id)), "--", "/bin/bash", "--login"]
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    os.execvpe(command[0], command, {**env, "TERM": os.environ.get("TERM", "dumb")})  # noqa: S606


def logs(paths: Paths, server: str) -> int:
    """What the machine wrote to its console and, if it runs, its journal since boot."""
    _need_root()
    folder = paths.server(_find(paths, server).id)
    print(guest.console(folder), end="")
    if guest.is_running(folder):
        print(guest.run_inside(folder, "journalctl", "-b", "--no-pager", "-o", "short-iso"), end="")
    return 0


def environment(paths: Paths, *, new_project: bool) -> dict[str, str]:
    """What a client of the local cloud needs."""
    return {
        "HCLOUD_ENDPOINT": f"http://127.0.0.1:{api_port(paths)}/v1",
        "HCLOUD_TOKEN": project_token(paths, new=new_project),
        "S3_ENDPOINT": objects.ENDPOINT,
        "S3_REGION": objects.REGION,
        **objects.keys(paths),
        "S3_CA_FILE": str(paths.ca / "ca.pem"),
    }


def env(paths: Paths, *, new_project: bool, read_only: bool, as_json: bool) -> int:
    """Print the environment, as shell exports or JSON."""
    _need_root()
    if not isinstance(read_json(OWNER_FILE), dict):
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


@contextmanager
def alone() -> Iterator[None]:
    """One `up` or `down` at a time on the machine. The lock is on a folder that is there anyway: no file is left."""
    folder = os.open(OWNER_FILE.parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another `localcloud up` or `down` is under way; waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _need_root() -> None:
    if os.getuid() != 0:
        raise RefusedError(f"not root (user id {os.getuid()}): run as root or by sudo")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="localcloud", description="Hetzner's API and real machines on this host.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="start it (again: nothing happens)")
    commands.add_parser("down", help="power everything off and leave nothing on the host but the data")
    commands.add_parser("status", help="show what runs")
    for name, text in (("console", "a root shell in a server"), ("logs", "console output and journal of a server")):
        commands.add_parser(name, help=text).add_argument("server", help="name or id")
    commands.add_parser("new-node-key", help="another object-store key for the machines; the old one is refused")
    sold = commands.add_parser("unavailable", help="server types that can't be ordered from now on (none: all can)")
    sold.add_argument("types", nargs="*", metavar="TYPE@LOCATION")
    fault_cli.add_parser(commands)
    commands.add_parser("check", help="do the API's state and the host agree? exit code 1 if not")
    variables = commands.add_parser("env", help="print HCLOUD_ENDPOINT, HCLOUD_TOKEN, S3_* for a shell")
    variables.add_argument("--new-project", action="store_true", help="token of a new, empty project")
    variables.add_argument(
        "--read-only", action="store_true", help="a token that may only read, of the project default"
    )
    variables.add_argument("--json", action="store_true", help="one JSON object")
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit code (1: refused or failed, 2: wrong usage)."""
    options = parser().parse_args(argv)
    paths = paths_from_env()
    try:
        if options.command == "env":
            return env(paths, new_project=options.new_project, read_only=options.read_only, as_json=options.json)
        if options.command in ("console", "logs"):
            return (console if options.command == "console" else logs)(paths, options.server)
        if options.command == "status":
            return status(paths)
        if options.command == "new-node-key":
            objects.new_node_key(paths)
            return 0
        if options.command == "check":
            return check(paths)
        if options.command == "fault":
            return fault(paths, options)
        if options.command == "unavailable":
            return sell_out(paths, options.types)
        with alone():
            return (up if options.command == "up" else down)(paths)
    except (RefusedError, BackendError, AptSourcesError) as error:
        for line in str(error).splitlines():
            say(line)
        return 1
