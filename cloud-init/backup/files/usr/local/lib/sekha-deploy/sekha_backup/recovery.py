"""Replaying the archive: a PostgreSQL that nobody can reach, from the restored files to a promoted, stopped cluster."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sekha_backup import machine
from sekha_backup.machine import BINARIES, STANZA, RefusedError
from sekha_backup.repository import as_postgres, postgres_command

FOLDER = machine.RUN / "recovery"
CONTROL = re.compile(r"^(Database cluster state|Latest checkpoint's TimeLineID): +(.*)$", re.MULTILINE)
LAST = re.compile(r"last completed transaction was at log time ([^\n]+)")
WAL_MB = (256, 16384)  # replayed WAL that may stay on the disk: least (more restartpoints), most
ENDED = "recovery ended before configured recovery target was reached"
REFUSED_FILE = re.compile(r"FATAL: +could not restore file \"(\w+)\" from archive")
RESTORE_COMMAND = re.compile(r"^restore_command = 'pgbackrest (.*) archive-get ", re.MULTILINE)
RESTORE_WAL = "/usr/local/lib/sekha-deploy/restore-wal"
SAY_EVERY = 10.0  # seconds between two lines of progress


def settings(data: Path, shared_buffers_mb: int, archive: bool, wal_mb: int = WAL_MB[1]) -> str:
    """postgresql.conf for the replay.

    No fsync: whatever interrupts it, the restore starts over with pgBackRest's --delta, which mends by checksum; the
    end is one `sync`. No hot standby: nobody may read what is not whole yet. The archive gets the new timeline if
    `archive`: a trial must leave no trace there. `wal_mb`: how much replayed WAL may stay on the disk.
    """
    options = {
        "data_directory": f"'{data}'",
        "hba_file": f"'{FOLDER}/pg_hba.conf'",
        "ident_file": f"'{FOLDER}/pg_ident.conf'",
        "listen_addresses": "''",
        "unix_socket_directories": f"'{FOLDER}'",
        "shared_buffers": f"{shared_buffers_mb}MB",
        "hot_standby": "off",
        "fsync": "off",
        "max_wal_size": f"{wal_mb}MB",
        "checkpoint_timeout": "1h",
        "maintenance_io_concurrency": 64,
        "autovacuum": "off",
        "archive_mode": "on" if archive else "off",
        "archive_command": f"'pgbackrest --stanza={STANZA} --pg1-path={data} archive-push \"%p\"'",
        "log_timezone": "'UTC'",
        "timezone": "'UTC'",
    }
    return "".join(f"{name} = {value}\n" for name, value in options.items())


def wal_room(free: int) -> int:
    """max_wal_size in MB where `free` bytes are free: a day's WAL can be larger than the database. Pure."""
    return max(WAL_MB[0], min(WAL_MB[1], free // 8 // 2**20))


def control(data: Path) -> tuple[str, int]:
    """(state, timeline) of a cluster, from its control file."""
    text = subprocess.run(
        [str(BINARIES / "pg_controldata"), "-D", str(data)],
        capture_output=True, text=True, check=True, env={"LC_ALL": "C"},
    ).stdout  # fmt: skip
    found = dict(CONTROL.findall(text))
    return found["Database cluster state"], int(found["Latest checkpoint's TimeLineID"])


def end_leftovers(data: Path, proc: Path = Path("/proc")) -> int:
    """Kill what an earlier, killed try left running on `data` (servers work in that folder, pgBackRest is told of it);
    how many there were."""
    found = 0
    for link in proc.glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            told = f"--pg1-path={data}" in (link.parent / "cmdline").read_text(errors="replace").split("\0")
            if told or link.readlink() == data:
                os.kill(int(link.parent.name), signal.SIGKILL)
                found += 1
    if found:
        time.sleep(1)  # until the kernel has let go of their shared memory
    return found


@dataclass(frozen=True)
class Wanted:
    """How far to replay. `target`: a time, None = all there is. `start`: when the backup was complete. `sums`: SHA-1 of
    the archive's WAL files. `hole`: what the archive lacks, "" = nothing; `bearable`: what comes after it was still on
    its way when the machine died, so that ending there is right."""

    target: datetime.datetime | None
    start: datetime.datetime
    sums: Mapping[str, str] = field(default_factory=dict)
    hole: str = ""
    bearable: bool = False


class Replay:
    """Recovers, promotes and stops the cluster in `data`. The archive gets the new timeline if `archive`."""

    def __init__(self, data: Path, shared_buffers_mb: int, archive: bool = True) -> None:
        self.data, self.log = data, FOLDER / "log"
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True, mode=0o700)
        for name, text in (
            ("postgresql.conf", settings(data, shared_buffers_mb, archive, wal_room(shutil.disk_usage(data).free))),
            ("pg_hba.conf", "local all postgres peer\n"),
            ("pg_ident.conf", ""),
        ):
            (FOLDER / name).write_text(text)
        subprocess.run(["chown", "-R", "postgres:postgres", str(FOLDER)], check=True)

    def run(self, *options: str) -> tuple[bool, str]:
        """(whether the cluster opened and was stopped in order, the server's log) of one try; `options` are settings
        of PostgreSQL that win over those that pgBackRest wrote."""
        found = RESTORE_COMMAND.search((self.data / "postgresql.auto.conf").read_text())
        if not found:
            raise RefusedError(f"{self.data} has no restore_command of pgBackRest's")
        restore = f'restore_command={RESTORE_WAL} %f "%p" {FOLDER} --archive-timeout=20 {found[1]}'
        arguments = [part for option in (f"config_file={FOLDER}/postgresql.conf", restore, *options)
                     for part in ("-c", option)]  # fmt: skip
        with self.log.open("wb") as out:
            server = subprocess.Popen(
                postgres_command("postgres", "-D", str(self.data), *arguments),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/",
            )  # fmt: skip
        try:
            opened = _wait(server, self.log)
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGINT)  # a fast shutdown: the archiver ships what is left
            server.wait()
        return opened and control(self.data)[0] == "shut down", self.log.read_text(errors="replace")


def replay(replaying: Replay, wanted: Wanted) -> tuple[str, str]:
    """Replay, promote, stop: (log time of the last transaction, "" = none; what is lost, "" = nothing).

    Raises RefusedError when the target is not reached, or something of the archive is missing or damaged: how far the
    data can be restored, and how that is accepted, is said.
    """
    (FOLDER / "sums").write_text("".join(f"{digest} {name}\n" for name, digest in wanted.sums.items()))
    (FOLDER / "sums").chmod(0o644)
    why, text = wanted.hole, ""
    if wanted.target or not wanted.hole or wanted.bearable:
        opened, text = replaying.run()
        if opened:
            last = last_of(text)
            return (
                last,
                f"{why}: what was written after {last or wanted.start} is lost" if why and not wanted.target else "",
            )
    if damaged := REFUSED_FILE.search(text):
        why = f"the archive's {damaged[1]} can't be had: {_errors(text)}"
        (FOLDER / "damaged").write_text(f"{damaged[1]}\n")
        (FOLDER / "damaged").chmod(0o644)
    if ENDED not in text and not why:
        raise RefusedError(_reason(text))
    if ENDED not in text:  # how far can it be replayed? With a target that nothing reaches it is not opened.
        now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S}+00"
        _, text = replaying.run(f"recovery_target_time={wanted.target or now}")
        if ENDED not in text:
            raise RefusedError(f"{why or 'the archive could not be replayed'}: {_reason(text)}")
    last = last_of(text)
    end = datetime.datetime.fromisoformat(last) if last else wanted.start
    if wanted.target == end:  # the last transaction itself: nothing later is there that PostgreSQL could stop at
        opened, text = replaying.run("recovery_target_time=")
        if opened:
            return last, f"{why}: what was written after {last or wanted.start} is lost" if why else ""
        raise RefusedError(_reason(text))
    raise RefusedError(stopped(end, bool(last), why, wanted.target))


def last_of(log: str) -> str:
    """Log time of the last transaction that was replayed, "" = none."""
    found: list[str] = LAST.findall(log)
    return found[-1] if found else ""


def stopped(end: datetime.datetime, any_transaction: bool, why: str, target: datetime.datetime | None) -> str:
    """What the operator is told when the replay ends at `end`, before what was asked for."""
    told = f"the last transaction in the archive is of {end.isoformat()}"
    if not any_transaction:
        told = f"no transaction was archived after the backup of {end.isoformat()}"
    if not why:
        return f"sekha:restoreTo is after the end of the archive: {told}. Choose that time or an earlier one, or none"
    return (
        f"{why}. Up to {end.isoformat()} everything can be restored, what was written later can't: bring the missing "
        f"objects back (make undelete-backups, docs/backup.md), or accept the loss: restore to that time or an earlier "
        f"one (sekha:restoreTo: {end.isoformat()})"
    )


def _wait(server: subprocess.Popen[bytes], log: Path) -> bool:
    """Whether the cluster opened; False when PostgreSQL gave up."""
    told = time.monotonic()
    ask = ("psql", "-X", "-q", "-t", "-A", "-h", str(FOLDER), "-c", "select pg_is_in_recovery()", "postgres")
    while server.poll() is None:
        ready = as_postgres(*ask, capture_output=True)
        if ready.returncode == 0 and ready.stdout.strip() == "f":
            return True
        if time.monotonic() - told > SAY_EVERY:
            told = time.monotonic()
            restored = re.findall(r"restored log file \"(\w+)\"", log.read_text(errors="replace"))
            print(f"replaying: {len(restored)} WAL files so far", flush=True)
        time.sleep(0.2)
    return False


def _errors(log: str) -> str:
    """What restore-wal and pgBackRest said went wrong, in one line."""
    lines = log.splitlines()
    found = [n for n, line in enumerate(lines) if "ERROR" in line and "asynchronously" not in line]
    return " ".join(" ".join(lines[found[-1] : found[-1] + 2]).split())[-300:] if found else "no reason was given"


def _reason(log: str) -> str:
    """PostgreSQL's refusal in words for the operator."""
    if "requested recovery stop point is before consistent recovery point" in log:
        return "sekha:restoreTo is before the backup was complete; choose a later time"
    fatal = [line for line in log.splitlines() if "FATAL" in line or "PANIC" in line or "ERROR" in line]
    return f"the archive could not be replayed: {' '.join(fatal)[-400:] or log[-400:]}"
