"""The parent process: what it makes of children that end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

SCRIPT = """
import os, signal, sys
from sekha_service import supervise
def life():
    {life}
    return {code}
sys.exit(supervise.Children({{"worker 1": life}}, lambda pid: os.write(1, b"ended\\n")).run())
"""


def run(life: str, code: int = 0) -> subprocess.Popen[bytes]:
    script = SCRIPT.format(life=life, code=code)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def test_a_service_that_can_not_start_ends_with_its_workers_exit_code() -> None:
    with run("pass", 7) as parent:
        assert parent.wait(20) == 7


def test_a_killed_worker_is_replaced_from_the_start() -> None:
    with run("os.kill(os.getpid(), signal.SIGKILL)") as parent:
        assert parent.stdout is not None
        assert [parent.stdout.readline() for _ in range(2)] == [b"ended\n", b"ended\n"]
        os.kill(parent.pid, signal.SIGTERM)
        assert parent.wait(20) == 0
