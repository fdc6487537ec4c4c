"""Replaying the archive: a PostgreSQL that nobody can reach, from the restored files to a promoted, stopped cluster."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from sekha_backup import machine
from sekha_backup.machine import BINARIES, STANZA, RefusedError
from sekha_backup.repository import as_postgres, postgres_command

FOLDER = machine.RUN / "recovery"
CONTROL = re.compile(r"^(Database cluster state|Latest checkpoint's TimeLineID): +(.*)$", re.MULTILINE)
LAST = re.compile(r"last completed transaction was at log time ([^\n]+)")
WAL_MB = (256, 16384)  # replayed WAL that may stay on the disk: least (more restartpoints), most
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
    """Kill what an earlier, killed try left running on `data` (servers work in that folder); how many there were."""
    found = 0
    for link in proc.glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if link.readlink() == data:
                os.kill(int(link.parent.name), signal.SIGKILL)
                found += 1
    if found:
        time.sleep(1)  # until the kernel has let go of their shared memory
    return found


def replay(data: Path, shared_buffers_mb: int, archive: bool = True) -> str:
    """Recover, promote and stop the cluster in `data`; returns the log time of its last transaction, "" = none.

    Raises RefusedError when the target is not reached or the archive has a hole, in words for the operator.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, mode=0o700)
    for name, text in (
        ("postgresql.conf", settings(data, shared_buffers_mb, archive, wal_room(shutil.disk_usage(data).free))),
        ("pg_hba.conf", "local all postgres peer\n"),
        ("pg_ident.conf", ""),
    ):
        (FOLDER / name).write_text(text)
    subprocess.run(["chown", "-R", "postgres:postgres", str(FOLDER)], check=True)
    log = FOLDER / "log"
    command = postgres_command("postgres", "-D", str(data), "-c", f"config_file={FOLDER}/postgresql.conf")
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/")
    try:
        promoted = _wait(server, log)
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGINT)  # a fast shutdown: the archiver ships what is left
        server.wait()
    text = log.read_text(errors="replace")
    if not promoted or control(data)[0] != "shut down":
        raise RefusedError(_reason(text))
    last: list[str] = LAST.findall(text)
    return last[-1] if last else ""


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


def _reason(log: str) -> str:
    """PostgreSQL's refusal in words for the operator."""
    last = (LAST.findall(log) or [""])[-1]
    if "recovery ended before configured recovery target was reached" in log:
        told = f"the last transaction in the archive is of {last}" if last else "no transaction was archived after it"
        return f"sekha:restoreTo is after the end of the archive: {told}. Choose an earlier time, or leave it out"
    if "requested recovery stop point is before consistent recovery point" in log:
        return "sekha:restoreTo is before the backup was complete; choose a later time"
    fatal = [line for line in log.splitlines() if "FATAL" in line or "PANIC" in line or "ERROR" in line]
    return f"the archive could not be replayed: {' '.join(fatal)[-400:] or log[-400:]}"
