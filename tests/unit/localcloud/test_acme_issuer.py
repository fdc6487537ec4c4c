"""What the issuer of managed certificates starts does not outlive it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from localcloud.acme_issuer import WITH_US
from localcloud.machines import process
from tests.support import wait_for

STARTS_ONE = """
import subprocess, sys
print(subprocess.Popen([*sys.argv[1:], "sleep", "60"]).pid, flush=True)
input()
"""


def test_a_killed_daemon_leaves_no_pebble() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_ONE, *WITH_US], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout is not None
        child = process.process(int(daemon.stdout.readline()))
        assert child is not None
        started = Path(f"/proc/{child.pid}/cmdline")
        wait_for(lambda: started.read_text().startswith("sleep"), 10, "it runs")
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    assert child.wait_gone(10)
