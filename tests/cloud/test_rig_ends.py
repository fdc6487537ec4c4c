"""A test session that is killed leaves no process of its rig behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import wait_for

REPO = Path(__file__).resolve().parents[2]
SESSION = """
import subprocess, sys
from tests.support import alone
subprocess.run(alone("tests.cloud.test_rig_ends", sys.argv[1]))
"""

pytestmark = pytest.mark.timeout(240)


def main(folder: Path) -> None:
    """What a story does: start the rig, and go on for long."""
    from tests.cloud.program_rig import Rig

    rig = Rig(folder)
    rig.start()
    (folder / "pids").write_text(f"{os.getpid()} {rig.processes[0].pid}")
    rig.processes[0].wait()


def runs(pid: int) -> bool:
    """True while there is such a process, and it is no mere entry that nobody has read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_session_ends_its_rig(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root for a network namespace")
    told = tmp_path / "pids"
    session = subprocess.Popen([sys.executable, "-c", SESSION, str(tmp_path)], cwd=REPO)
    try:
        wait_for(lambda: told.exists() and len(told.read_text().split()) == 2, 150, "the rig runs")
        pids = [int(word) for word in told.read_text().split()]
        assert all(runs(pid) for pid in pids)
    finally:
        session.kill()
        session.wait()
    wait_for(lambda: not any(runs(pid) for pid in pids), 10, "story and object store have ended")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
