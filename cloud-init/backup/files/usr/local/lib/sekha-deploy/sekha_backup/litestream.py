"""litestream as this machine uses it: its configuration, what the bucket holds, and a restore. Runs as root."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from sekha_backup import age, machine
from sekha_backup.machine import AGE, DATABASE, Place, RefusedError
from sekha_backup.repository import Backup

PROGRAM = machine.ROOT / "var/lib/sekha-deploy/release/bin/litestream"
OWN = machine.ETC / "litestream.json"
CHANGED = machine.RUN / "changed/sqlite"
SOURCE = machine.RUN / "restore/litestream.json"  # of another stack's replica; gone after a reboot
RETENTION, SNAPSHOTS, LOOK = "720h", "24h", "1h"  # 30 days; a whole copy a day; how often what is old is deleted
METRICS = "127.0.0.1:9363"  # where it serves its metrics; what it says there is no secret
SECOND = datetime.timedelta(seconds=1)


def settings(place: Place, sync_seconds: int = 1) -> str:
    """litestream's configuration (JSON, which is YAML) for a place: holds the bucket's key and the age identity."""
    access, secret, _ = place.keys()
    identity, recipient = age.pair(bytes.fromhex(place.derived(AGE)))
    replica: dict[str, Any] = {
        "type": "s3",
        "endpoint": place.endpoint,
        "region": place.region,
        "bucket": place.name,
        "path": f"{place.named('sqlite')}/live",
        "force-path-style": place.addressing == "path",
        "sync-interval": f"{sync_seconds}s",
        "snapshot-interval": SNAPSHOTS,
        "retention": RETENTION,
        "retention-check-interval": LOOK,
        "age": {"identities": [identity], "recipients": [recipient]},
    }
    if not place.temporary:  # else litestream asks for the machine's role by itself
        replica |= {"access-key-id": access, "secret-access-key": secret}
    return json.dumps(
        {"addr": METRICS, "logging": {"level": "warn"}, "dbs": [{"path": str(DATABASE), "replicas": [replica]}]},
        indent=1,
    )


def configure(place: Place, path: Path = OWN) -> Path:
    """Write the configuration, for root alone, and what else the program needs to know; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    seconds = int(machine.orders().get("sync_seconds", 1))
    text, before = settings(place, seconds), path.read_text() if path.exists() else ""
    machine.write(path, text)
    machine.write(path.with_suffix(".env"), f"SSL_CERT_FILE={place.ca_file}\n" if place.ca_file else "")
    if path == OWN and text != before:  # the agent restarts what runs with it
        CHANGED.parent.mkdir(parents=True, exist_ok=True)
        CHANGED.touch()
    return path


def run(config: Path, command: str, *arguments: str) -> str:
    """Standard output of a litestream command on the database of `config`. Raises RefusedError with its own words.

    It logs some errors and still exits with 0: those count as well, because a bucket that can't be read is not empty.
    """
    known = config.with_suffix(".env").read_text().split()
    done = subprocess.run(
        [str(PROGRAM), command, "-config", str(config), "-no-expand-env", *arguments, str(DATABASE)],
        env={"PATH": "/usr/bin:/bin", "HOME": "/root", **dict(line.split("=", 1) for line in known)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    wrong = [line for line in done.stdout.splitlines() if "level=ERROR" in line]
    if done.returncode or wrong:
        words = wrong or done.stdout.strip().splitlines()
        raise RefusedError(f"litestream {command}: exit code {done.returncode}: {' '.join(words)[-500:]}")
    return done.stdout


def rows(config: Path, command: str) -> list[list[str]]:
    """The rows of what `litestream snapshots` or `wal` prints: replica, generation, index, ..., time."""
    lines = [line.split() for line in run(config, command).splitlines()]
    return [line for line in lines if len(line) > 4 and line[0] == "s3"]


def backups(config: Path) -> list[Backup]:
    """The snapshots that the bucket holds, oldest first; each is followed by its changes. Raises RefusedError."""
    found = []
    for _, generation, index, size, when in rows(config, "snapshots"):
        moment = datetime.datetime.fromisoformat(when)
        found.append(Backup(f"{generation}/{int(index):08x}", "snapshot", moment, moment, 0, int(size)))
    return sorted(found, key=lambda backup: backup.stop)


def listing(config: Path) -> list[list[str]]:
    """All that the stream consists of now: two that are equal lead to the same database. Raises RefusedError."""
    return sorted([*rows(config, "snapshots"), *rows(config, "wal")])


def restore(config: Path, target: datetime.datetime | None, out: Path) -> tuple[str, str]:
    """The database as of `target` (None: the newest) into the new file `out`: (generation, time of its last change).

    A time counts by the store's clock, when a change reached the bucket. Raises RefusedError.
    """
    times: dict[str, list[datetime.datetime]] = {}
    for row in listing(config):
        times.setdefault(row[1], []).append(datetime.datetime.fromisoformat(row[-1]))
    if not times:
        raise RefusedError("the stream is empty; a daily copy (sekha-backup list) is restored by its very time")
    generation, last, options = choose(times, target)
    how = ["-o", str(out), "-parallelism", str(max(4, os.cpu_count() or 1)), "-generation", generation]
    try:
        run(config, "restore", *how, *options)
    except RefusedError as error:
        if not options or "no matching backups" not in str(error):
            raise
        run(config, "restore", *how)  # the target is within the second of the last change
    return generation, last.isoformat()


def choose(
    times: dict[str, list[datetime.datetime]], target: datetime.datetime | None
) -> tuple[str, datetime.datetime, list[str]]:
    """(generation, its last change up to `target`, options that stop there): of all generations (unbroken streams) the
    one that was written last before the target. `times` are cut to seconds. Raises RefusedError."""
    ends = [(when, generation) for generation, found in times.items() for when in found]
    end, generation = max(ends)
    if target is None:
        return generation, end, []
    if target >= end + SECOND:
        raise RefusedError(f"{target.isoformat()} is after the end of the archive: the last change is of {end}")
    reached = [row for row in ends if row[0] <= target]
    if not reached:
        raise RefusedError(f"{target.isoformat()} is before the first backup")
    last, generation = max(reached)
    if target >= max(times[generation]) + SECOND:
        return generation, last, []
    return generation, last, ["-timestamp", target.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")]
