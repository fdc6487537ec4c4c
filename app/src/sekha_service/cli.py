"""Command line: `sekha-controller [start|migrate-schema] [--config PATH] [--host HOST] [--port PORT]`.

Exit codes: 0 stopped as asked, 1 a dependency failed (database away, port taken), 2 the configuration can't be used.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# One computing thread per worker: workers share the cores, and waiting BLAS threads would keep them busy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import psycopg

from . import __version__, logs, server
from .config import ConfigError
from .config_sources import default_search, load
from .store.migrate import migrate

_log = logging.getLogger("sekha")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    overrides = {("server", name): value for name in ("host", "port") if (value := getattr(options, name)) is not None}
    try:
        config, warnings = load(options.config, os.environ, overrides, default_search())
    except ConfigError as error:
        print(f"sekha-controller: {error}", file=sys.stderr)
        return 2
    logs.setup(config["logging", "level"], config["logging", "format"], config.log_file)
    for warning in warnings:
        _log.warning(warning)
    listener = None
    try:
        if options.command == "start":
            listener = server.listen(config["server", "host"], config["server", "port"])
        version = migrate(config["database", "url"])
    except OSError as error:
        _log.error("cannot listen on %s:%s: %s", config["server", "host"], config["server", "port"], error.strerror)
        return 1
    except psycopg.Error as error:
        _log.error("the database cannot be used: %s", str(error).strip())
        return 1
    if listener is None:
        print(f"schema version {version}")
        return 0
    return server.run(config, listener)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sekha-controller", description="The Sekha memory service.")
    commands = ("start", "migrate-schema")
    parser.add_argument("command", nargs="?", choices=commands, default="start", help="default: start")
    parser.add_argument("-c", "--config", type=Path, help="configuration file (TOML)")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", help="port to listen on")
    parser.add_argument("--version", action="version", version=__version__)
    return parser


if __name__ == "__main__":
    sys.exit(main())
