"""Running commands, bounded in time, with their output in the report."""

import contextlib
import os
import signal
import subprocess
import tempfile

from sekha_stage0.common import RUN, StepError
from sekha_stage0.report import Report


def shortened(line: str) -> str:
    """A long line's beginning and end: the end of a traceback says what happened."""
    return line if len(line) <= 500 else f"{line[:190]} ... {line[-300:]}"


class Commands:
    def __init__(self, report: Report) -> None:
        self.report = report

    def run(self, *argv: str, timeout: float = 60, env: dict[str, str] | None = None) -> None:
        """Run a command to its end; after `timeout` seconds its process group is killed. Raises StepError.
        The output goes through a file, so that a service which the command leaves behind does not hold us up."""
        RUN.mkdir(parents=True, exist_ok=True, mode=0o755)
        environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
        with tempfile.TemporaryFile(dir=RUN) as out:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=environment
            )
            try:
                child.wait(timeout)
                reason = f"exit code {child.returncode}"
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                reason = f"killed after {timeout:g} s"
            out.seek(0)
            text = out.read().decode(errors="replace").strip()
        self.report.say("\n".join(shortened(self.report.redact(line.rstrip())) for line in text.splitlines()))
        if child.returncode:
            # cloud-init only says that it failed
            told = [line for line in text.splitlines() if ".py[WARNING]" not in line]
            # after apt's error cloud-init goes on with the role's commands, which say things, too
            words = [line for line in told if line.startswith("E: ")] or told
            raise StepError(f"{' '.join(argv[:3])}: {reason}: {''.join(words[-1:])[:300]}")

    def units(self, units: list[str], *argv: str, timeout: float) -> None:
        """`run` for something that concerns `units`: when it fails, their journals get into the report."""
        try:
            self.run(*argv, timeout=timeout)
        except StepError:
            for unit in units:
                with contextlib.suppress(StepError):
                    self.run("journalctl", "-b", "-n", "20", "--no-pager", "-o", "cat", "-u", unit)
            raise
