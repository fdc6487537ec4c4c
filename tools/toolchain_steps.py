"""Getting an official Pulumi: the one that is installed, or by its installer; and the means that all steps share."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent

PULUMI_VERSION = "3.220.0"  # the SDK's in requirements.in
HCLOUD_VERSION = "1.32.1"  # pulumi_hcloud's in requirements.in
INSTALLER = "https://get.pulumi.com"
HCLOUD = "pulumi-resource-hcloud"
HCLOUD_FOLDER = f"resource-hcloud-v{HCLOUD_VERSION}"  # the name of its folder among the engine's plugins
ENGINE_FILES = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-resource-pulumi-python",
    "pulumi-analyzer-policy-python",
)


class ToolchainError(Exception):
    """The toolchain can't be made; the message says why and what to do."""


def say(message: str) -> None:
    """Tell the operator; standard output is for the result alone."""
    print(f"toolchain: {message}", file=sys.stderr, flush=True)


def run(what: str, command: Sequence[str | Path], *, cwd: Path, env: dict[str, str], timeout: float = 3600) -> str:
    """Run a step and tell how long it takes, every 20 s while it runs; return what it printed.

    Raises ToolchainError with the last lines of its output when it fails or takes longer than `timeout` seconds.
    """
    say(f"{what} ...")
    start = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        while True:
            try:
                code = process.wait(timeout=20)
                break
            except subprocess.TimeoutExpired:
                seconds = time.monotonic() - start
                if seconds > timeout:
                    process.kill()
                    process.wait()
                    code = -1
                    break
                say(f"{what} ... {seconds:.0f} s")
            except BaseException:
                process.kill()
                process.wait()
                raise
        output.seek(0)
        text = output.read()
    seconds = time.monotonic() - start
    if code:
        tail = "\n".join(text.splitlines()[-20:])
        raise ToolchainError(f"{what}: failed after {seconds:.0f} s (exit code {code})\n{tail}")
    say(f"{what}: {seconds:.1f} s")
    return text


def version_of(text: str) -> tuple[int, int, int] | None:
    """Return the version in text such as `v3.220.0` or `go version go1.26 linux/amd64`; None if there is none.

    A pre-release (`3.221.0-alpha.1`) counts as none: it may be older than what it names.
    """
    match = re.search(r"(?<![\d.])(?:v|go)?(\d+)\.(\d+)(?:\.(\d+))?(-)?", text)
    if match is None or match[4]:
        return None
    return int(match[1]), int(match[2]), int(match[3] or 0)


def pulumi_fits(version: tuple[int, int, int] | None) -> bool:
    """Tell whether an engine of this version runs the project: not older than the SDK, and of its major version."""
    wanted = version_of(PULUMI_VERSION)
    return version is not None and wanted is not None and wanted <= version < (wanted[0] + 1, 0, 0)


def find_program(name: str, path: str, excluded: Path) -> Path | None:
    """Return the first executable `name` of a PATH that is not inside the folder `excluded`."""
    for entry in path.split(os.pathsep):
        file = Path(entry or ".") / name
        if file.is_file() and os.access(file, os.X_OK) and not file.resolve().is_relative_to(excluded.resolve()):
            return file
    return None


def official_engine(pulumi: Path) -> bool:
    """Tell whether `pulumi` can be used as it is: its version fits and the Python host is beside it."""
    beside = pulumi.resolve().parent
    if missing := [name for name in ENGINE_FILES if not (beside / name).is_file()]:
        say(f"not used: {pulumi} (beside it there is no {missing[0]})")
        return False
    answer = subprocess.run([pulumi, "version"], capture_output=True, text=True, timeout=60, check=False)
    if pulumi_fits(version_of(answer.stdout)):
        return True
    say(
        f"not used: {pulumi} is {answer.stdout.strip() or 'of unknown version'}; needed: {PULUMI_VERSION} or newer, < 4"
    )
    return False


def link_engine(pulumi: Path, bin_dir: Path) -> None:
    """Link an installed engine's programs into the toolchain."""
    beside = pulumi.resolve().parent
    for name in ENGINE_FILES:
        (bin_dir / name).symlink_to(beside / name)


def install_engine(work: Path) -> Path | None:
    """Run Pulumi's official installer into `work`; return its `pulumi`, or None where it can't be had."""
    say(f"official Pulumi {PULUMI_VERSION} ...")
    try:
        with urllib.request.urlopen(INSTALLER, timeout=5) as answer:
            script = work / "install-pulumi.sh"
            script.write_bytes(answer.read())
    except (OSError, urllib.error.URLError) as error:
        say(f"the official installer can't be reached ({getattr(error, 'reason', error)})")
        return None
    root = work / "official"
    command: list[str | Path] = [
        "sh",
        script,
        "--version",
        PULUMI_VERSION,
        "--install-root",
        root,
        "--no-edit-path",
        "--silent",
    ]
    try:
        run(f"official Pulumi {PULUMI_VERSION}", command, cwd=work, env={**os.environ, "HOME": str(work)}, timeout=300)
    except ToolchainError as error:
        say(str(error))
        return None
    return root / "bin" / "pulumi"


def install_hcloud(pulumi: Path, work: Path, plugins: Path) -> bool:
    """Have an official engine fetch the official Hetzner plugin into the folder `plugins`; tell whether it could."""
    home = work / "pulumi-home"
    env = {**os.environ, "PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    command: list[str | Path] = [pulumi, "plugin", "install", "resource", "hcloud", HCLOUD_VERSION]
    try:
        run(f"official Hetzner plugin {HCLOUD_VERSION}", command, cwd=work, env=env, timeout=120)
    except ToolchainError as error:
        say(str(error))
        return False
    shutil.copytree(home / "plugins" / HCLOUD_FOLDER, plugins / HCLOUD_FOLDER)
    return True
