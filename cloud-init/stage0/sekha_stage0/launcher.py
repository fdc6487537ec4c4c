"""The loop of stage 0: look at desired/NODE; what is signed and new is handed to the agent that it names.

The agent is a file of the release, so that a new one is an update and replaces no server (docs/machine.md).
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sekha_stage0.bucket import connect
from sekha_stage0.common import RUN, VAR, MissingError, RefusedError, StepError, sha256, write
from sekha_stage0.manifest import verify
from sekha_stage0.report import Report

FAST, SLOW, FAST_FOR = 2.0, 10.0, 120.0  # seconds between polls, and how long polls stay fast after a change
KILLED = 3  # times that a killed agent is started again for the same release


class Launcher:
    """`accepted`: generation and text of the manifest taken up last; the agent reads it from accepted.json."""

    def __init__(self) -> None:
        self.config, self.bucket = connect()
        self.report = Report(self.config, self.bucket)
        self.accepted: dict[str, Any] = {"generation": 0, "manifest": ""}
        if (VAR / "accepted.json").exists():
            self.accepted = json.loads((VAR / "accepted.json").read_text())

    def poll(self, last: bytes) -> bytes:
        """One look at desired/NODE; what is new (other than `last`) is taken up. Returns what not to look at again."""
        body = self.bucket.get("desired/" + self.config["node"])
        if body == last:
            return body
        self.report.log = []
        try:
            text, manifest = verify(body, self.config, self.accepted)
        except RefusedError as error:
            self.report.say(f"refused: {error}")
            self.report.beacon("verify", "failed", str(error))
            return body
        generation: int = manifest["generation"]
        try:
            if text != self.accepted["manifest"]:
                accepted = {"generation": generation, "manifest": text}
                write(VAR / "accepted.json", json.dumps(accepted))
                self.accepted = accepted
            agent = self.fetch(manifest["agent"]["sha256"], manifest["agent"]["size"])
        except (StepError, OSError) as error:  # disk full, a damaged file: said, and tried again at the next poll
            self.report.say(f"the release's agent can't be started: {error}")
            self.report.beacon("agent", "failed", f"agent: {error}", generation)
            return b""
        if trouble := self.run(agent):
            self.report.beacon("agent", "failed", trouble, generation)
        return body

    def fetch(self, digest: str, size: int) -> Path:
        """The release's agent, in memory: a full disk does not stop it from saying so. Raises StepError."""
        target = RUN / f"agent-{digest[:12]}.pyz"
        if not target.exists() or sha256(target) != digest:
            self.bucket.download(digest, target, size)
        return target

    def run(self, agent: Path) -> str:
        """Run the agent to its end; one that was killed is started again. Returns what went wrong, "" = nothing."""
        for _ in range(KILLED):
            with tempfile.TemporaryFile(dir=RUN) as errors:
                code = subprocess.run([sys.executable, "-I", "-u", str(agent)], stderr=errors, check=False).returncode
                errors.seek(0)
                self.report.say(errors.read()[-8000:].decode(errors="replace"))
            if code == 0:
                return ""
            self.report.say(f"the agent ended with exit code {code}")
            if code > 0:
                break
        return f"agent: ended with exit code {code}: {''.join(self.report.log[-2:-1])}"

    def loop(self, ticks: Iterable[object] = iter(int, 1)) -> None:
        """Poll for ever: fast until the first release and for a while after each change."""
        last, fast_until, complaint = b"", time.monotonic() + FAST_FOR, ""
        self.report.beacon("boot", "running", "waiting for a release")
        for _ in ticks:
            try:
                body = self.poll(last)
                fast_until = time.monotonic() + FAST_FOR if body != last else fast_until
                last, complaint = body, ""
            except (OSError, MissingError) as error:
                if str(error) != complaint:  # once, not at every poll
                    complaint = str(error)
                    self.report.say(complaint)
            time.sleep(FAST if not self.accepted["generation"] or time.monotonic() < fast_until else SLOW)


def main() -> None:
    """Run until systemd says stop."""
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Launcher().loop()
