"""localcloud: the command line. Each command's work is in localcloud/commands/. See docs/localcloud.md."""

from __future__ import annotations

import argparse

from localcloud import fault_cli, objects
from localcloud.aptconf import AptSourcesError
from localcloud.backend import BackendError
from localcloud.commands.access import env, web
from localcloud.commands.common import RefusedError, chosen, say
from localcloud.commands.down import alone, down
from localcloud.commands.inside import console, logs
from localcloud.commands.stage import check, fault, sell_out
from localcloud.commands.status import status
from localcloud.commands.up import up
from localcloud.machines.paths import Paths


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="localcloud", description="Hetzner's API and real machines on this host.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("up", help="start it (again: nothing happens)")
    start.add_argument(
        "--no-machines",
        action="store_true",
        help="the API alone, with a state of its own: needs no root, boots nothing",
    )
    commands.add_parser("down", help="power everything off and leave nothing on the host but the data")
    commands.add_parser("status", help="show what runs")
    commands.add_parser("web", help="print the address of the web console")
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


def _new_node_key(paths: Paths) -> int:
    objects.new_node_key(paths)
    return 0


def _start(paths: Paths, options: argparse.Namespace) -> int:
    with alone():
        return up(paths, no_machines=options.no_machines)


def _stop(paths: Paths) -> int:
    with alone():
        return down(paths)


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit code (1: refused or failed, 2: wrong usage)."""
    options = parser().parse_args(argv)
    paths = chosen(no_machines=getattr(options, "no_machines", False), up=options.command == "up")
    work = {
        "up": lambda: _start(paths, options),
        "down": lambda: _stop(paths),
        "status": lambda: status(paths),
        "web": lambda: web(paths),
        "console": lambda: console(paths, options.server),
        "logs": lambda: logs(paths, options.server),
        "new-node-key": lambda: _new_node_key(paths),
        "unavailable": lambda: sell_out(paths, options.types),
        "fault": lambda: fault(paths, options),
        "check": lambda: check(paths),
        "env": lambda: env(paths, new_project=options.new_project, read_only=options.read_only, as_json=options.json),
    }
    try:
        return work[options.command]()
    except (RefusedError, BackendError, AptSourcesError) as error:
        for line in str(error).splitlines():
            say(line)
        return 1
