"""The process that holds one machine: starts systemd-nspawn, again after a reboot inside, and records what is so.

It needs only the standard library, runs in a session of its own and outlives the daemon. `runner.py FOLDER` reads
FOLDER/runner.json ({"command", "env", "groups", "off": command for when it is off}) and writes FOLDER/state.json
({"boots", "nspawn": {pid, start, boot}, "exit"}). SIGTERM: orderly power-off by the host; FOLDER/wanted stays, so that
the next `up` starts the machine again. A
power-off from inside, or FOLDER/halt, removes or ignores it: the machine then stays off.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

REBOOT = 133  # systemd-nspawn's exit code when the machine asked for a reboot


def start_time(pid: int) -> int:
    """Start time of a process in clock ticks since boot."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


class Runner:
    """Runs one machine until it is off."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = json.loads((folder / "runner.json").read_text())
        self.command: list[str] = config["command"]
        self.env: dict[str, str] = config["env"]
        self.groups: list[str] = config["groups"]
        self.off: list[str] = config.get("off") or []
        self.asked = False  # the host asked for the power-off
        self.child: subprocess.Popen[bytes] | None = None

    def record(self, boots: int, code: int | None) -> None:
        """Write state.json, whole or not at all."""
        nspawn = None
        if self.child and code is None:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            nspawn = {"pid": self.child.pid, "start": start_time(self.child.pid), "boot": boot}
        temp = self.folder / ".state.json.tmp"
        temp.write_text(json.dumps({"boots": boots, "nspawn": nspawn, "exit": code}))
        temp.rename(self.folder / "state.json")

    def enter_groups(self) -> None:
        """In the child: become a member of the machine's control groups."""
        for group in self.groups:
            with contextlib.suppress(OSError):
                Path(group).write_text(str(os.getpid()))

    def on_term(self, *_: object) -> None:
        """The host wants the machine off: hand it on to systemd-nspawn, which tells the machine."""
        self.asked = True
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)

    def run(self) -> int:
        """Boot, and boot again for as long as the machine asks for it; the last exit code."""
        signal.signal(signal.SIGTERM, self.on_term)
        boots = 0
        while True:
            boots += 1
            self.child = subprocess.Popen(
                self.command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                preexec_fn=self.enter_groups,
            )
            self.record(boots, None)
            code = self.child.wait()
            print(f"runner: boot {boots} ended with {code}", flush=True)
            if code == REBOOT and not self.asked and not (self.folder / "halt").exists():
                continue
            if not self.asked:
                (self.folder / "wanted").unlink(missing_ok=True)
            if self.off:
                subprocess.run(self.off, stdin=subprocess.DEVNULL, timeout=10, check=False)
            self.record(boots, code)
            return code


if __name__ == "__main__":
    sys.exit(Runner(Path(sys.argv[1])).run())
