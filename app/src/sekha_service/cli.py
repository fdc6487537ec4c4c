"""Command line: `sekha-controller [COMMAND] [--config PATH] ...`; without a command, it serves.

Exit codes: 0 done, or stopped as asked; 1 a dependency failed (database away, port taken) or a check did;
2 the configuration or the arguments can't be used.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# One computing thread per worker: workers share the cores, and waiting BLAS threads would keep them busy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from . import __version__, logs, server, trial
from .cli_keys import add_keys_parser, run_keys
from .config import Config, ConfigError
from .config_sources import default_search, load
from .store.database import DATABASE_ERRORS, exists, has_keys, migrate_schema
from .store.transfer import TransferError, transfer

_NO_KEY = (
    "server.api_key is not set: set server.api_key (at least 32 characters), server.api_key_hashes, "
    "or the environment variable SEKHA_API_KEY, or make a key with `sekha-controller keys make NAME`"
)
_log = logging.getLogger("sekha")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "migrate":
            logs.setup("warn", "text", None)
            return _transfer(options.source, options.target)
        given = {name: getattr(options, name, None) for name in ("host", "port")}
        overrides = {("server", name): value for name, value in given.items() if value is not None}
        config, warnings = load(options.config, os.environ, overrides, default_search())
        if options.command == "keys":
            logs.setup("warn", "text", None)
            return run_keys(config.database_url, options)
        if options.command in ("start", "try") and not config.has_keys and not exists(config.database_url):
            raise ConfigError(_NO_KEY)
    except ConfigError as error:
        print(f"sekha-controller: {error}", file=sys.stderr)
        return 2
    logs.setup(config["logging", "level"], config["logging", "format"], config.log_file)
    for warning in warnings:
        _log.warning(warning)
    if options.command == "try":
        return trial.run(config, options.seconds)
    return _start(config) if options.command == "start" else _migrate_schema(config)


def _start(config: Config) -> int:
    try:
        listener = server.listen(config["server", "host"], config["server", "port"])
    except OSError as error:
        _log.error("cannot listen on %s:%s: %s", config["server", "host"], config["server", "port"], error.strerror)
        return 1
    try:
        migrate_schema(config.database_url)
        if not config.has_keys and not has_keys(config.database_url):
            print(f"sekha-controller: {_NO_KEY}", file=sys.stderr)
            return 2
    except (*DATABASE_ERRORS, OSError) as error:
        return _unusable(error)
    return server.run(config, listener)


def _migrate_schema(config: Config) -> int:
    try:
        print(f"schema version {migrate_schema(config.database_url)}")
    except (*DATABASE_ERRORS, OSError) as error:
        return _unusable(error)
    return 0


def _transfer(source: str, target: str) -> int:
    try:
        transfer(source, target, print)
    except (TransferError, *DATABASE_ERRORS, OSError) as error:
        print(f"sekha-controller: {str(error).strip()}", file=sys.stderr)
        return 2 if isinstance(error, TransferError) and error.refused else 1
    return 0


def _unusable(error: Exception) -> int:
    _log.error("the database cannot be used: %s", str(error).strip())
    return 1


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("-c", "--config", type=Path, help="configuration file (TOML)")
    serving = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS, parents=[common])
    serving.add_argument("--host", help="address to listen on")
    serving.add_argument("--port", help="port to listen on")
    parser = argparse.ArgumentParser(
        prog="sekha-controller", description="The Sekha memory service.", parents=[serving]
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands (default: start)")
    parser.set_defaults(command="start", config=None)
    commands.add_parser("start", parents=[serving], help="serve")
    commands.add_parser("migrate-schema", parents=[common], help="bring the database's schema up to date")
    tried = commands.add_parser("try", parents=[common], help="start a worker, ask for its health, end")
    tried.add_argument("--seconds", type=float, default=90.0, help="that it may take (90)")
    add_keys_parser(commands.add_parser("keys", help="API keys in the database"), common)
    move = commands.add_parser("migrate", help="copy everything from SQLite to PostgreSQL")
    move.add_argument("--from", dest="source", required=True, metavar="URL", help="sqlite:///PATH")
    move.add_argument("--to", dest="target", required=True, metavar="URL", help="postgresql://USER@HOST/DATABASE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
