"""pgBackRest as this machine uses it: configuration, calls as `postgres`, and what the repository holds."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sekha_backup import machine
from sekha_backup.machine import CIPHER, STANZA, Place, RefusedError

OWN = machine.ROOT / "etc/pgbackrest/conf.d/repository.conf"
SOURCE = machine.RUN / "restore/pgbackrest.conf"  # of another stack's repository; gone after a reboot
STATIC = machine.ROOT / "etc/pgbackrest/pgbackrest.conf"
NO_SYNC = "libeatmydata.so.1"  # package libeatmydata1; where it is missing, the loader says so and goes on
# Checksum, format, file-read, file-missing and crypto errors (pgBackRest's src/build/error/error.yaml); of a store, a
# file that is shorter than it was.
DAMAGED = re.compile(r"ERROR: \[(026|029|042|055|095)\]|InvalidRange")
NOT_LATER = 106  # exit code: the new backup's name would not sort after all others
MISSING, EMPTY, PARTIAL = 1, 2, 3  # codes of a stanza's status in `pgbackrest info --output=json`


class RepositoryError(RefusedError):
    """A pgBackRest command failed; `output` is all that it said, `code` its exit code."""

    def __init__(self, message: str, output: str = "", code: int = 0) -> None:
        super().__init__(message)
        self.output, self.code = output, code

    @property
    def damaged(self) -> bool:
        """Whether something in the repository is missing, cut short or not what was written, and no try will help."""
        return bool(DAMAGED.search(self.output))


@dataclass(frozen=True)
class Backup:
    """One backup: pgBackRest's label and type, start and stop in UTC, the database's bytes and those in the bucket; the
    part of the archive its WAL is in, and the first and last file of that which it needs to be consistent."""

    label: str
    kind: str
    start: datetime.datetime
    stop: datetime.datetime
    size: int
    stored: int
    archive: str = ""
    wal_start: str = ""
    wal_stop: str = ""


def settings(place: Place) -> str:
    """pgBackRest's options for a place (pgbackrest.org/configuration.html). Holds the bucket key and the passphrase."""
    url = urlsplit(place.endpoint)
    access, secret, _ = place.keys()
    options = {
        "repo1-type": "s3",
        "repo1-path": f"/{place.named('postgres')}",
        "repo1-s3-bucket": place.name,
        "repo1-s3-endpoint": url.hostname,
        "repo1-storage-port": url.port or 443,
        "repo1-s3-region": place.region,
        "repo1-s3-uri-style": "path" if place.addressing == "path" else "host",
        "repo1-storage-ca-file": place.ca_file,
        **(
            {"repo1-s3-key-type": "auto"}
            if place.temporary
            else {"repo1-s3-key": access, "repo1-s3-key-secret": secret}
        ),
        "repo1-cipher-type": "aes-256-cbc",
        "repo1-cipher-pass": place.derived(CIPHER),
    }
    return "[global]\n" + "".join(f"{name}={value}\n" for name, value in options.items() if value)


def configure(place: Place) -> None:
    """Write the own repository's options, for root and postgres alone."""
    machine.write(OWN, settings(place), 0o640)
    shutil.chown(OWN, "root", "postgres")


def configure_source(place: Place) -> list[str]:
    """Write options for reading another stack's repository; returns the arguments that make pgBackRest use them."""
    SOURCE.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    machine.write(SOURCE, settings(place) + STATIC.read_text(), 0o640)
    shutil.chown(SOURCE, "root", "postgres")
    return [f"--config={SOURCE}"]


def postgres_command(*argv: str) -> list[str]:
    """The command line that runs `argv` as postgres, with a clean environment."""
    account = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "env", "-i", "LC_ALL=C.UTF-8"]
    return [*account, f"PATH={machine.BINARIES}:/usr/bin:/bin", *argv]


def as_postgres(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as postgres, text in and out; what is no text (a wrong key's, in an error) is marked."""
    return subprocess.run(postgres_command(*argv), text=True, errors="replace", check=False, cwd="/", **options)


def pgbackrest(*arguments: str, capture: bool = True, hasty: bool = False) -> str:
    """Standard output of a pgBackRest command. Raises RefusedError with its own words.

    `hasty`: it forces nothing to the disk, a thousand small files in a restore; the caller syncs once, at the end.
    """
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if capture else {}
    environment = [f"LD_PRELOAD={NO_SYNC}"] if hasty else []
    done = as_postgres(*environment, "pgbackrest", f"--stanza={STANZA}", *arguments, **pipes)
    if done.returncode != 0:
        words = [line for line in (done.stdout or "").splitlines() if "ERROR" in line] or (
            done.stdout or ""
        ).splitlines()
        command = next(argument for argument in arguments if not argument.startswith("-"))
        raise RepositoryError(
            f"pgbackrest {command}: exit code {done.returncode}: {' '.join(words)[-500:]}",
            done.stdout or "",
            done.returncode,
        )
    return done.stdout or ""


def back_up(kind: str, *arguments: str) -> None:
    """Make a backup: full, diff or incr. Raises RepositoryError.

    A store with versions may list the folder of a full backup that was killed and removed for good, and pgBackRest then
    refuses whatever builds on an older one (github.com/pgbackrest/pgbackrest/pull/2824): a full backup mends that.
    """
    try:
        pgbackrest(f"--type={kind}", *arguments, "backup", capture=False)
    except RepositoryError as error:
        if kind == "full" or error.code != NOT_LATER:
            raise
        print(f"a full backup was killed, and no {kind} backup can be made beside it: making a full one", flush=True)
        pgbackrest("--type=full", *arguments, "backup", capture=False)


def backups(source: Sequence[str] = ()) -> list[Backup]:
    """What the repository holds, oldest first; [] where there is none. Raises RefusedError when it can't be read, as
    with a wrong passphrase: never mistake that for emptiness."""
    text = pgbackrest(*source, "--output=json", "--log-level-console=off", "--log-level-stderr=error", "info")
    # With a wrong passphrase it quotes what that made of its record, control characters and all.
    stanza: dict[str, Any] = next(iter(json.loads(text[text.index("[") :], strict=False)), {})
    code, message = (stanza.get("status") or {}).get("code", MISSING), (stanza.get("status") or {}).get("message")
    if code not in (0, MISSING, EMPTY):
        why = " ".join(" ".join(str(row["status"].get("message", "")) for row in stanza.get("repo") or []).split())
        why = re.sub("[^ -~].*", "", why)[:300]  # up to the quotation
        guess = "is the bucket away?" if "HostConnectError" in why else "wrong key, or damaged?"
        raise RefusedError(f"the repository can't be read: {message} (status {code}): {guess} {why}".strip())
    archives = {row["database"]["id"]: row["id"] for row in stanza.get("archive") or []}
    return [_backup(row, archives) for row in stanza.get("backup") or [] if not row.get("error")]


def _backup(row: dict[str, Any], archives: dict[int, str]) -> Backup:
    when = [datetime.datetime.fromtimestamp(row["timestamp"][name], datetime.UTC) for name in ("start", "stop")]
    stored = row["info"]["repository"].get("delta", row["info"]["repository"].get("size", 0))
    wal = row["archive"]
    return Backup(
        row["label"], row["type"], when[0], when[1], row["info"]["size"], stored,
        archives.get(row["database"]["id"], ""), wal["start"] or "", wal["stop"] or "",
    )  # fmt: skip


def ensure_stanza(data: Path) -> None:
    """Make the repository ready for the cluster in `data` (stopped or running). Raises RefusedError."""
    options = ("--no-online", f"--pg1-path={data}")
    try:
        pgbackrest(*options, "stanza-create")
    except RefusedError as error:
        # Another cluster's backups are there, and the operator said to begin anew: they stay until they expire.
        if machine.orders().get("restore") != "never" or "[028]" not in str(error):
            raise
        pgbackrest(*options, "stanza-upgrade")


def know_main() -> None:
    """The repository knows the cluster that serves, so that WAL can come. Asks once per cluster and place."""
    done = machine.ROOT / "var/lib/sekha-deploy/stanza"
    control = (machine.MAIN / "global/pg_control").read_bytes()[:8]  # the cluster's system identifier
    identity = f"{control.hex()} {machine.own_place().named('postgres')}"
    if not done.exists() or done.read_text() != identity:
        ensure_stanza(machine.MAIN)
        machine.write(done, identity)
