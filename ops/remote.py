"""Commands on a stack's machine, over SSH as its `ssh` output says."""

from __future__ import annotations

import shlex
import subprocess
from typing import Any

from ops.engine import OperatorError
from ops.local import engine_of
from ops.up import ssh_command

# Addresses are used again by other machines, so no host key is remembered from one run to the next.
OPTIONS = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")


class Machine:
    """The machine of a stack that is up."""

    def __init__(self, stack: str, outputs: dict[str, Any] | None = None) -> None:
        self.stack = stack
        self.ssh = ssh_command(stack, outputs or engine_of(stack).outputs())
        if not self.ssh.startswith("ssh "):
            raise OperatorError(f"no way to the machine of stack {stack!r}: {self.ssh}")

    def command(self, command: str) -> list[str]:
        """The command line that runs `command` there, by root's shell."""
        first, *rest = shlex.split(self.ssh)
        return [first, *OPTIONS, "-o", "BatchMode=yes", *rest, command]

    def run(self, command: str, stdin: str | None = None, timeout: float = 600, show: bool = False) -> str:
        """Standard output of `command`; with `show` it goes to the terminal as it comes. Raises OperatorError."""
        try:
            done = subprocess.run(
                self.command(command),
                input=stdin,
                text=True,
                stdout=None if show else subprocess.PIPE,
                stderr=None if show else subprocess.PIPE,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OperatorError(f"`{command[:80]}` on the machine took longer than {timeout:g} s") from None
        if done.returncode != 0:
            told = "" if show else (done.stderr or done.stdout or "").strip()[-500:]
            raise OperatorError(f"`{command[:80]}` on the machine failed (exit code {done.returncode}): {told}")
        return done.stdout or ""
