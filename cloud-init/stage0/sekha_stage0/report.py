"""What the machine says of itself: lines for the journal, and the beacon, status/NODE in the bucket."""

import datetime
import json
import os
import re
import time
from pathlib import Path
from typing import Any

from sekha_stage0.bucket import Bucket
from sekha_stage0.common import CLOUD, ETC, ROOT, RUN, VAR, MissingError, retry, write

SECRET = re.compile(r"sk-sekha-[\w-]+|(?i:(password|passwd|passphrase|secret|token|_key)\w*[\"']?\s*[=:]\s*)\S+")
NOTHING: dict[str, Any] = {
    "generation": 0, "release": None, "state": "none", "roles": {}, "version": None, "manifest": "",
}  # fmt: skip


def stamp(seconds: float) -> str:
    """Unix time as ISO 8601."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")


def since_boot() -> float:
    """Seconds since PID 1 started. (/proc/uptime may be the host's where the machine is a container.)"""
    started = int((ROOT / "proc/1/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def read_applied() -> dict[str, Any]:
    """What became of the releases so far, as the agent left it in applied.json."""
    path = VAR / "applied.json"
    return {**NOTHING, **(json.loads(path.read_text()) if path.exists() else {})}


def read_serving() -> dict[str, Any]:
    """{"host": name or address that clients use, "ca_file": path} as the role `caddy` wrote it; {} before."""
    path = ETC / "serving.json"
    return json.loads(path.read_text()) if path.exists() else {}


class Report:
    """Says things, with `hidden` texts and everything that looks like a secret taken out."""

    def __init__(self, config: dict[str, Any], bucket: Bucket) -> None:
        self.node, self.bucket = config["node"], bucket
        self.hidden = [config[key] for key in ("access_key", "secret_key", "stack_key")]
        self.log: list[str] = []
        self.stages: dict[str, dict[str, Any]] = {}
        uptime = since_boot()
        if not (RUN / "boot_seconds").exists():  # /run is new with each boot
            write(RUN / "boot_seconds", f"{uptime:.2f}")
        self.boot = {"boot": {"state": "ok", "seconds": float((RUN / "boot_seconds").read_text())}}
        self.about = {
            "format": 1,
            "node": self.node,
            "instance_id": (CLOUD / "instance-id").read_text().strip(),
            "boot_id": (ROOT / "proc/sys/kernel/random/boot_id").read_text().strip(),
            "booted_at": stamp(time.time() - uptime),
        }

    def redact(self, text: str) -> str:
        """`text` without secrets."""
        for value in self.hidden:
            text = text.replace(value, "***")
        return SECRET.sub("***", text)

    def say(self, text: str) -> None:
        """Lines for the journal and the next beacon's log."""
        lines = [self.redact(line.rstrip())[:500] for line in text.splitlines() if line.strip()]
        if lines:
            print(*lines, sep="\n", flush=True)
        self.log = [*self.log, *lines][-200:]

    def beacon(self, stage: str, state: str, message: str = "", generation: int | None = None) -> None:
        """Write status/NODE. A bucket out of reach fails no step: the next beacon says the same and more."""
        applied, authority = read_applied(), Path(read_serving().get("ca_file", "/nonexistent"))
        body = {
            **self.about,
            "generation": applied["generation"] if generation is None else generation,
            **{key: applied[key] for key in ("release", "version")},
            "stage": stage,
            "state": state,
            "message": self.redact(message),
            "log_tail": self.log[-40:],
            "stages": self.stages,
            "ca_pem": authority.read_text() if authority.exists() else None,
            "updated_at": stamp(time.time()),
        }
        try:
            retry(lambda: self.bucket.open("PUT", "status/" + self.node, json.dumps(body).encode()).close(), 4)
        except (OSError, MissingError) as error:
            print(f"no beacon: {error}", flush=True)
