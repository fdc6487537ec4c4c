"""`sekha-controller keys make|list|expire|revoke`: API keys in the database, known to the services within seconds."""

import argparse
import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta

from .store.api_keys import ApiKeys, KeyNameError, open_keys
from .store.database import DATABASE_ERRORS, migrate_schema

_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_SPAN = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_keys_parser(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the actions of `keys` to its parser."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    when = "a span from now (30m, 12h, 90d) or an ISO-8601 time (UTC without offset)"
    make = actions.add_parser("make", parents=[common], help="make a key and print it, this once")
    make.add_argument("--expires", type=moment, metavar="WHEN", help=when)
    actions.add_parser("list", parents=[common], help="print all keys (JSON=1: as JSON)")
    expire = actions.add_parser("expire", parents=[common], help="let a key end later, when its successor is in use")
    expire.add_argument("--at", type=moment, metavar="WHEN", required=True, help=when)
    revoke = actions.add_parser("revoke", parents=[common], help="end a key now, for good")
    for action in (make, expire, revoke):
        action.add_argument("name", type=name, help="letters, digits and . _ @ -")


def name(text: str) -> str:
    """A key's name from the command line."""
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("1 to 64 letters, digits and . _ @ -")
    return text


def moment(text: str) -> datetime:
    """A time from the command line: a span from now, or ISO-8601."""
    span = _SPAN.fullmatch(text)
    try:
        if span:
            return datetime.now(UTC) + timedelta(**{_UNITS[span.group(2)]: int(span.group(1))})
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no span like 90d and no ISO-8601 time") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def run_keys(url: str, options: argparse.Namespace) -> int:
    """Do what `options` say on the database at `url`; returns the exit code."""
    try:
        migrate_schema(url)
        with open_keys(url) as keys:
            return _act(keys, options)
    except KeyNameError as error:
        print(f"sekha-controller: {error}", file=sys.stderr)
        return 2
    except (*DATABASE_ERRORS, OSError) as error:
        print(f"sekha-controller: the database cannot be used: {str(error).strip()}", file=sys.stderr)
        return 1


def _act(keys: ApiKeys, options: argparse.Namespace) -> int:
    if options.action == "make":
        print(keys.make(options.name, getattr(options, "expires", None)))
        print("This key is shown only now. Running services accept it within seconds.", file=sys.stderr)
    elif options.action == "expire":
        keys.expire(options.name, options.at)
        print(f"{options.name} ends at {_shown(options.at)}")
    elif options.action == "revoke":
        keys.revoke(options.name)
        print(f"{options.name} is revoked; running services refuse it within seconds")
    else:
        _list(keys)
    return 0


def _list(keys: ApiKeys) -> None:
    at = datetime.now(UTC)
    fields = ("name", "state", "created", "expires", "revoked", "last used")
    rows = [
        (key.name, key.state(at), *map(_shown, (key.created_at, key.expires_at, key.revoked_at, key.last_used_at)))
        for key in keys.all()
    ]
    if os.environ.get("JSON") == "1":
        print(json.dumps({"keys": [dict(zip(fields, (v or None for v in row), strict=True)) for row in rows]}))
        return
    widths = [max(len(row[i]) for row in [fields, *rows]) for i in range(len(fields))]
    for row in [fields, *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _shown(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
