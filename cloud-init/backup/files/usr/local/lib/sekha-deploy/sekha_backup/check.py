"""`sekha-backup check`: is everything about the backups as it should be? Fails with every reason, writes the metrics.

Silent failure is the common one: this runs every few minutes, looks at what is really there, and its failed unit, its
metrics and its receipt in the bucket show what is wrong.
"""

from __future__ import annotations

import dataclasses
import datetime
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sekha_backup import archive, copies, machine, receipt, repository, stream
from sekha_backup.archive import Lag
from sekha_backup.machine import RefusedError

METRICS = machine.ROOT / "run/sekha-metrics/backup.prom"  # Caddy serves it as /metrics/backup
STALE = 26 * 3600.0  # seconds: backups are made daily
FIRST_WITHIN = 1800.0  # seconds that a new database may be without a backup
VERIFIED_WITHIN = 8 * 86400.0  # seconds: verifications are weekly
LAG = 120.0  # seconds
ANSWER = 60.0  # seconds that the repository has to answer
RUNS = {
    "postgres": ("sekha-first-backup", "sekha-backup@full", "sekha-backup@diff", "sekha-verify"),
    "sqlite": ("sekha-first-backup", "sekha-backup@copy", "sekha-verify"),
}


@dataclass(frozen=True)
class Facts:
    """What was found, times in seconds since 1970. `backups`: when each was complete; `unreadable`: why the repository
    can't be read; `verified`: when, 0 = never; `verdict`: what was wrong then; `failed`: units whose last run failed;
    `database_age`: seconds since the database was made; `first_running`: the first backup is being made."""

    now: float
    backups: tuple[float, ...]
    unreadable: str
    lag: Lag
    verified: float
    verdict: str
    failed: tuple[str, ...]
    database_age: float
    first_running: bool = False


def problems(facts: Facts) -> list[str]:
    """Everything that an operator must look at; [] = all is well. Pure."""
    told = {"sekha-verify"} if facts.verdict else set()  # by its own verdict, below
    found = [f"the last run of {unit} failed: journalctl -u {unit}" for unit in facts.failed if unit not in told]
    if facts.unreadable:
        found.append(f"the backups are not known: {facts.unreadable}")
    elif not facts.backups and facts.database_age > FIRST_WITHIN and not facts.first_running:
        found.append("there is no backup at all")
    elif facts.backups and (age := facts.now - max(facts.backups)) > STALE:
        found.append(f"the newest backup is {age / 3600:.0f} h old")
    if facts.lag.problem:
        found.append(facts.lag.problem)
    if facts.lag.seconds > LAG:
        found.append(f"the archive is {facts.lag.seconds:.0f} s behind, {facts.lag.segments} WAL segments wait")
    since = facts.verified or min(facts.backups, default=facts.now)
    if facts.verdict:
        found.append(f"the last verification failed: {facts.verdict}")
    elif facts.now - since > VERIFIED_WITHIN:
        found.append(f"no verification for {(facts.now - since) / 86400:.0f} days")
    return found


GAUGES = {
    "last_success_timestamp_seconds": "When the newest backup was complete, 0: there is none",
    "oldest_timestamp_seconds": "When the oldest backup was complete, 0: there is none",
    "count": "Backups in the repository",
    "repository_readable": "Whether the repository could be read",
    "last_verification_timestamp_seconds": "When a backup was last restored and looked at, 0: never",
    "last_verification_success": "Whether that found it good (1: nothing known against it)",
    "archive_lag_seconds": "Age of the oldest write that is not in the archive",
    "archive_lag_segments": "WAL segments that wait for the archive",
    "problems": "What is wrong, counted; the journal of sekha-backup-check says what",
    "check_timestamp_seconds": "When this was looked at",
}


def metrics(facts: Facts, stack: str) -> str:
    """The gauges in Prometheus' text format; those of the backups only while they are known. Pure."""
    known = {
        "last_success_timestamp_seconds": max(facts.backups, default=0.0),
        "oldest_timestamp_seconds": min(facts.backups, default=0.0),
        "count": len(facts.backups),
    }
    values = {
        **({} if facts.unreadable else known),
        "repository_readable": 0 if facts.unreadable else 1,
        "last_verification_timestamp_seconds": facts.verified,
        "last_verification_success": 0 if facts.verdict else 1,
        "archive_lag_seconds": round(facts.lag.seconds, 1),
        "archive_lag_segments": facts.lag.segments,
        "problems": len(problems(facts)),
        "check_timestamp_seconds": round(facts.now),
    }
    return "".join(
        f"# HELP sekha_backup_{name} {text}\n# TYPE sekha_backup_{name} gauge\n"
        f'sekha_backup_{name}{{stack="{stack}"}} {values[name]:.15g}\n'
        for name, text in GAUGES.items()
        if name in values
    )


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer (a child that is waited for is killed by subprocess.run then)."""

    def late(*_: object) -> None:
        raise TimeoutError(f"no answer within {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def lag() -> Lag:
    """How far the archive, or litestream's stream, is behind."""
    if not machine.is_sqlite():
        return archive.measure()
    try:
        return Lag(stream.behind(), 0)
    except RefusedError as error:
        return Lag(0.0, 0, str(error))


def look() -> Facts:
    """The facts of this machine now."""
    backups: tuple[float, ...] = ()
    unreadable, verification = "", dict[str, Any]()
    try:
        with limit(ANSWER):
            found = copies.backups(machine.own_place()) if machine.is_sqlite() else repository.backups()
            backups = tuple(backup.stop.timestamp() for backup in found)
    except (RefusedError, OSError, subprocess.SubprocessError, ValueError) as error:
        unreadable = str(error)[-300:]
    try:
        verification = receipt.newest(machine.own_place(), receipt.VERIFICATION)
    except OSError as error:
        unreadable = unreadable or str(error)[-300:]
    runs = RUNS["sqlite" if machine.is_sqlite() else "postgres"]
    ask = ["systemctl", "is-failed", *(f"{unit}.service" for unit in runs)]
    states = subprocess.run(ask, capture_output=True, text=True, check=False, timeout=30).stdout.split()
    at = verification.get("at")
    made = machine.DATABASE.with_name("sekha.db-feeder") if machine.is_sqlite() else machine.MAIN / "PG_VERSION"
    return Facts(
        time.time(), backups, unreadable, lag(),
        datetime.datetime.fromisoformat(at).timestamp() if at else 0.0, str(verification.get("message", "")),
        tuple(unit for unit, state in zip(runs, states, strict=True) if state == "failed"),
        time.time() - made.stat().st_mtime if made.exists() else 0.0, states[0] == "activating",
    )  # fmt: skip


def check() -> None:
    """Look, write metrics and receipt. Raises RefusedError with every problem."""
    place, facts = machine.own_place(), look()
    METRICS.parent.mkdir(mode=0o755, exist_ok=True)
    METRICS.parent.chmod(0o755)
    machine.write(METRICS, metrics(facts, place.stack), 0o644)
    found = problems(facts)
    newest = datetime.datetime.fromtimestamp(max(facts.backups), datetime.UTC).isoformat() if facts.backups else None
    figures = {
        "at": receipt.now(), "node": machine.node(), "ok": not found, "problems": found, "backups": len(facts.backups),
        "newest_backup": newest, "lag": dataclasses.asdict(facts.lag),
    }  # fmt: skip
    receipt.note(receipt.CHECK, figures)
    if machine.FENCED.exists():  # the bucket's receipt is the other machine's
        raise RefusedError("this machine lost its lease; " + "; ".join(found))
    try:
        receipt.publish(place, receipt.CHECK, figures, history=False)
    except OSError as error:
        found.append(f"the bucket does not take the check's receipt: {error}")
    if found:
        raise RefusedError("; ".join(found))
