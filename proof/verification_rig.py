"""What the proof of verification works on: the local stack, what is planted in it, and what an operator sees of it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infra import backups
from infra.settings import Settings
from ops import verification
from ops.data_record import store_of
from ops.engine import LOCAL, Engine, OperatorError
from ops.remote import Machine
from proof import alerts

RECORD = verification.RECORD


@dataclass(frozen=True)
class Seen:
    """What an operator sees: failed units, alerts that hold, and the lines of `make status` that say it."""

    units: list[str]
    alerts: list[str]
    status: list[str]


class Proof:
    """The local stack, with what is planted in it."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine, self.settings, self.machine = engine, settings, Machine(LOCAL)
        self.store = store_of(settings)
        self.repository = backups.repository(LOCAL, settings.secrets.stack_key)

    def unit(self, name: str) -> None:
        """Run a unit to its end, however it ends."""
        self.machine.run(f"systemctl start {name} || true", timeout=900)

    def look(self) -> Seen:
        self.unit("sekha-backup-check")
        metrics = self.machine.run("cat /run/sekha-metrics/backup.prom")
        failed = self.machine.run("systemctl list-units --failed --plain --no-legend 'sekha*'").splitlines()
        return Seen(
            [line.split()[0].removesuffix(".service") for line in failed],
            alerts.holding(metrics, float(self.machine.run("date +%s.%N"))),
            [line for line in verification.lines(self.engine) if "PROBLEM" in line or "FAILED" in line],
        )

    def newest(self) -> str:
        """Where the newest backup's files are."""
        rows = json.loads(self.machine.run("sekha-backup list --json"))
        return f"{self.repository}backup/{backups.STANZA}/{rows[-1]['label']}/"

    def keys(self, prefix: str) -> list[str]:
        """The objects there, the largest first."""
        rows = self.store.s3.list_objects_v2(Bucket=self.store.bucket, Prefix=prefix).get("Contents", [])
        return [row["Key"] for row in sorted(rows, key=lambda row: -row["Size"])]

    @contextlib.contextmanager
    def changed(self, keys: list[str], change: Callable[[bytes], bytes | None]) -> Iterator[None]:
        """These objects with other content (None: deleted); at the end with the content of before."""
        before = {key: self.store.s3.get_object(Bucket=self.store.bucket, Key=key)["Body"].read() for key in keys}
        try:
            for key, body in before.items():
                put = change(body)
                if put is None:
                    self.store.delete(key)
                else:
                    self.store.s3.put_object(Bucket=self.store.bucket, Key=key, Body=put)
            yield
        finally:
            for key, body in before.items():
                self.store.s3.put_object(Bucket=self.store.bucket, Key=key, Body=body)

    @contextlib.contextmanager
    def shell(self, plant: str, undo: str) -> Iterator[None]:
        """Something planted on the machine by a command."""
        try:
            self.machine.run(plant)
            yield
        finally:
            self.machine.run(undo)

    def wait(self, command: str, seconds: float, what: str) -> None:
        """Until a shell condition holds on the machine. Raises OperatorError."""
        end = time.monotonic() + seconds
        while self.machine.run(f"{command} && echo yes || true").strip() != "yes":
            if time.monotonic() > end:
                raise OperatorError(f"{what}: not within {seconds:.0f} s")
            time.sleep(1)
