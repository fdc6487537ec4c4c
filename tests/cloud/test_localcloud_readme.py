"""The commands of localcloud/README.md, as somebody would type them, on a local cloud without machines."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.commands.common import MARK

pytestmark = pytest.mark.timeout(400)
REPO = Path(__file__).parent.parent.parent
PAGE = REPO / "localcloud" / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+)\n")
KNOWN = {"sh": "run here", "console": "not run", "python": "a file", "yaml": "a file", "hcl": "a file"}


def blocks() -> list[tuple[str, str]]:
    """(language, text) of every block of the page."""
    return BLOCK.findall(PAGE.read_text())


def hcloud() -> bool:
    """True if there is an hcloud command; Debian's is installed where we may."""
    if not shutil.which("hcloud") and os.geteuid() == 0:
        apt = ["apt-get", "-oDPkg::Lock::Timeout=300", "-qq"]
        subprocess.run([*apt, "update"], check=False, timeout=300)
        subprocess.run([*apt, "install", "-y", "--no-install-recommends", "hcloud-cli"], check=False, timeout=300)
    return shutil.which("hcloud") is not None


def free_ports() -> int:
    """A port that is free, and the one after it too."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = int(one.getsockname()[1])
        try:
            socket.create_server(("127.0.0.1", port + 1)).close()
        except OSError:
            continue
        return port


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A folder with bin/localcloud in it, and an environment in which the page's words mean this test's own cloud."""
    pulumi = shutil.which("pulumi")
    assert pulumi, "run through tools/run --dev --tools"
    work = tmp_path / "work"
    (work / "bin").mkdir(parents=True)
    (work / "bin" / "localcloud").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m localcloud "$@"\n')
    (work / "bin" / "localcloud").chmod(0o755)
    home = tmp_path / "pulumi"
    home.mkdir()
    if (plugins := Path(pulumi).parent.parent / "plugins").exists():
        (home / "plugins").symlink_to(plugins)
    own = {
        "SEKHA_CLOUD_DIR": str(tmp_path / "cloud"), "LOCALCLOUD_PORT": str(free_ports()), "PYTHONPATH": str(REPO),
        "PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true", "HOME": str(tmp_path),
        "SEKHA_CACHE": str(tmp_path / "cache"), "PWD": str(work),
    }  # fmt: skip
    yield {**{name: text for name, text in os.environ.items() if not name.startswith("HCLOUD_")}, **own}
    if (tmp_path / "cloud" / MARK).exists():
        subprocess.run([work / "bin" / "localcloud", "down"], env={**os.environ, **own}, check=False)


def test_the_commands_of_the_page(env: dict[str, str]) -> None:
    if not hcloud():
        pytest.skip("no hcloud command: apt-get install hcloud-cli (as root the test does that itself)")
    work = Path(env["PWD"])
    lines = ["set -eux", "bin/localcloud up --no-machines"]
    for language, text in blocks():
        assert language in KNOWN, f"{language}: the test doesn't know what to do with such a block"
        if language == "sh":
            lines.append(text)
        elif KNOWN[language] == "a file":
            named = FILE.match(text)
            assert named, f"the block does not name its file:\n{text}"
            (work / named[1]).write_text(text)
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], env=env, cwd=work, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in ("cli-1", "3 created", "3 unchanged", "3 deleted", "rate_limit_exceeded method POST", "/#"):
        assert expected in done.stdout, done.stdout + done.stderr


def test_the_two_commands_start_the_local_cloud_and_nothing_of_pulumi() -> None:
    """What `make localcloud` runs, and with which packages; the start itself is every other test of this folder."""
    asked = ["make", "-n", "--no-print-directory", "localcloud"]  # a make within make says where it is
    plan = subprocess.run(asked, cwd=REPO, capture_output=True, text=True, check=True).stdout
    assert plan.strip() == "bin/localcloud up"
    assert 'tools/run" --localcloud python' in (REPO / "bin" / "localcloud").read_text()
    assert "pulumi" not in (REPO / "requirements-localcloud.txt").read_text()
