"""What the config says about the database, its backups and restoring: the checks and the typed result."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from infra import checks
from infra.checks import BadValueError
from infra.config_reader import PROJECT, Reader

KEYS = ("restore", "restoreFrom", "restoreTo", "archiveTimeout")
SECRET_KEYS = ("restoreStackKey", "restoreAccessKey", "restoreSecretKey")
MODES = ("auto", "never")
POSTGRES, SQLITE = DATABASES = ("postgres", "sqlite")
ARCHIVE_TIMEOUT = 4  # seconds; with the second it takes to notice and one upload: at most 5 s and one upload are lost
SYNC_SECONDS = 1  # the same for SQLite, where it costs no segment of 4 MB
SOURCE_PARTS = ("stack", "endpoint", "region", "name", "addressing", "ca")


@dataclass(frozen=True)
class Backups:
    """`restore`: auto or never; `restore_to`: ISO 8601 or ""; `restore_from`: stack and bucket of another stack, {} =
    none, with the secrets that open it; `archive_timeout` in seconds."""

    restore: str
    restore_to: str
    restore_from: Mapping[str, str]
    archive_timeout: int
    source_secrets: Mapping[str, str] = field(repr=False, default_factory=dict)

    def orders(self) -> str:
        """`restore_from` as the machine reads it: JSON, "null" = none."""
        if not self.restore_from:
            return "null"
        bucket = {name: self.restore_from[name] for name in SOURCE_PARTS if name != "stack"}
        return json.dumps({"stack": self.restore_from["stack"], "bucket": bucket}, sort_keys=True)


def moment(value: str) -> str:
    """A time in ISO 8601 with its offset from UTC, or "" for none."""
    if not value:
        return ""
    try:
        when = datetime.datetime.fromisoformat(value)
    except ValueError:
        raise BadValueError("is no time; write it like 2026-11-23T14:05:00+00:00") from None
    if when.tzinfo is None:
        raise BadValueError(f"has no time zone; for UTC write {value}+00:00")
    return value


def _text(value: str) -> str:
    if not value:
        raise BadValueError("is missing")
    return value


def read_database(read: Reader, docker: bool) -> str:
    """Which database serves; a problem is noted in `read`."""
    key, value = f"{PROJECT}:database", read.config.get(f"{PROJECT}:database", POSTGRES)
    database = read.checked(key, value, value, lambda text: checks.known("database", DATABASES, text), POSTGRES)
    if database == SQLITE and docker:
        read.note(key, value, "a Docker stack's database is PostgreSQL in a container: leave the key out")
    return database


def read_backups(read: Reader, encrypted: Collection[str] | None, database: str = POSTGRES) -> Backups:
    """The backup part of the settings; problems are noted in `read`."""
    mode = read.config.get(f"{PROJECT}:restore", "auto")
    mode = read.checked(f"{PROJECT}:restore", mode, mode, lambda value: checks.known("mode", MODES, value), "auto")
    raw = read.json("restoreFrom", dict, "an object with stack, endpoint, region, name and addressing")
    source: dict[str, str] = {}
    if raw:
        wanted: dict[str, Callable[[str], str]] = {
            "stack": checks.stack_name,
            "endpoint": checks.endpoint,
            "region": _text,
            "name": checks.bucket_name,
            "addressing": lambda value: checks.known("addressing", ("path", "virtual"), value),
            "ca": str,
        }
        for name in sorted(set(raw) - set(wanted)):
            read.note(f"{PROJECT}:restoreFrom.{name}", raw[name], f"unknown; known: {', '.join(wanted)}")
        for name, check in wanted.items():
            value = str(raw.get(name, ""))
            source[name] = read.checked(f"{PROJECT}:restoreFrom.{name}", value, value, check, "")
        if source["stack"] == read.stack:
            read.note(f"{PROJECT}:restoreFrom.stack", read.stack, "is this stack: its own backups need no restoreFrom")
    secrets = {}
    for name in SECRET_KEYS if raw else ():
        if not read.config.get(f"{PROJECT}:{name}"):
            read.note(f"{PROJECT}:{name}", "missing", f"run: make secret STACK={read.stack} NAME={name}")
            continue
        secrets[name] = read.secret(name, checks.stack_key if name == "restoreStackKey" else _text, encrypted)
    return Backups(
        restore=mode,
        restore_to=read.text("restoreTo", moment),
        restore_from=source,
        archive_timeout=read.integer("archiveTimeout", 0, checks.between(0, 3600, "seconds"))
        or (SYNC_SECONDS if database == SQLITE else ARCHIVE_TIMEOUT),
        source_secrets=secrets,
    )
