"""Run system commands, turning failures into BackendError; write files so that a crash leaves old or new."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcloud.backend import BackendError

ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}


def run(
    *args: str | Path, stdin: str | None = None, check: bool = True, timeout: float = 60, env: Mapping[str, str] = ENV
) -> str:
    """Run a command, `stdin` as its input, at most `timeout` seconds; return what it printed on stdout.

    Raises BackendError with the command and its stderr when it takes too long and, with check, when it fails or isn't
    installed.
    """
    command = [str(a) for a in args]
    try:
        done = subprocess.run(
            command, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, env=dict(env), check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BackendError(f"{' '.join(command)}: not done within {timeout:g} s") from None
    except FileNotFoundError:
        if not check:
            return ""
        raise BackendError(f"{command[0]}: command not found") from None
    if check and done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}")[-600:]
        raise BackendError(f"{' '.join(command)}: {reason}")
    return done.stdout


def succeeds(*args: str | Path, timeout: float = 60) -> bool:
    """True if the command exits with 0."""
    command = [str(a) for a in args]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, env=ENV, check=False
        )
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return False
    return done.returncode == 0


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file atomically with the given mode."""
    temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w") as file:
        file.write(text)
    temp.chmod(mode)
    temp.rename(path)


def read_json(path: Path) -> Any:
    """The file's JSON, None if there is no such file or it isn't JSON."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
