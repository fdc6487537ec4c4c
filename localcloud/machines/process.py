"""Processes that outlive us: started in sessions of their own, found again by pid and start time, never by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud.machines.sh import ENV, read_json, write


def start_time(pid: int) -> int | None:
    """Start time of a living process in clock ticks since boot; None if there is none (or only a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id() -> str:
    """Changes at each boot of the host, after which no recorded pid means anything."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class Process:
    """One process, told from a later one of the same number by its start time and boot."""

    pid: int
    start: int
    boot: str

    def alive(self) -> bool:
        return self.boot == boot_id() and start_time(self.pid) == self.start

    def kill(self, number: signal.Signals) -> None:
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def wait_gone(self, timeout: float) -> bool:
        """True once it is gone; False when it is still there after `timeout` seconds."""
        end = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def children(self) -> list[Process]:
        """Its direct children, oldest first."""
        if not self.alive():
            return []
        found = []
        for task in Path(f"/proc/{self.pid}/task").glob("*/children"):
            try:
                pids = task.read_text().split()
            except OSError:
                continue
            found += [p for p in map(process, map(int, pids)) if p]
        return sorted(found, key=lambda p: p.start)

    def save(self, path: Path) -> None:
        write(path, json.dumps({"pid": self.pid, "start": self.start, "boot": self.boot}))


def process(pid: int) -> Process | None:
    """The living process of this number."""
    start = start_time(pid)
    return None if start is None else Process(pid, start, boot_id())


def load(path: Path) -> Process | None:
    """The process recorded in a file, if it still lives."""
    data = read_json(path)
    if not isinstance(data, dict):
        return None
    found = Process(data["pid"], data["start"], data["boot"])
    return found if found.alive() else None


def spawn(command: Sequence[str], pid_file: Path, log: Path, env: Mapping[str, str] | None = None) -> Process:
    """Start `command` in the background in a session of its own, output appended to `log`; record it in `pid_file`.

    `env` is added to a small fixed environment. Returns at once; a command that can't start raises OSError.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as out:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/",
            env={**ENV, **(env or {})},
        )  # fmt: skip
    found = process(child.pid)
    _reap_later(child)
    if found is None:
        raise OSError(f"{command[0]} ended at once; see {log}")
    found.save(pid_file)
    return found


def _reap_later(child: subprocess.Popen[bytes]) -> None:
    """A dead child must not stay a zombie, nor warn when its Popen object goes away."""
    import threading

    threading.Thread(target=child.wait, daemon=True, name=f"reap-{child.pid}").start()


def stop(pid_file: Path, timeout: float = 5) -> None:
    """End the process recorded in a file: TERM, after `timeout` seconds KILL; remove the record."""
    found = load(pid_file)
    if found:
        found.kill(signal.SIGTERM)
        if not found.wait_gone(timeout):
            found.kill(signal.SIGKILL)
            found.wait_gone(2)
    pid_file.unlink(missing_ok=True)
