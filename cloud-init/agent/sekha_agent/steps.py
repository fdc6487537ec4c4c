"""One step of a release: a role applied by cloud-init, its units restarted if it changed, its check run."""

import json
import re
import time
from pathlib import Path
from typing import Any

from sekha_stage0.common import CLOUD, RUN, VAR, StepError, write
from sekha_stage0.report import read_applied

from sekha_agent.commands import Commands

# A role's keys and their modules. One `cloud-init modules` does in one process what `cloud-init single` does for each.
INSTALL = "package_update_upgrade_install"
MODULES = {"users": "users_groups", "write_files": "write_files", "packages": INSTALL, "runcmd": "runcmd"}
ATTEMPTS = 3  # at the packages: mirrors fail at times, and a killed agent leaves dpkg half way
LONGEST = 12 * 3600.0  # seconds for a role: a restore downloads and replays all there is


class Applied:
    """applied.json: what became of the releases so far. Saved before and after everything that changes it."""

    def __init__(self) -> None:
        self.now = read_applied()

    def save(self, **changes: Any) -> None:
        """Remember `changes`. Raises OSError when the disk is full."""
        self.now.update(changes)
        write(VAR / "applied.json", json.dumps(self.now))

    def role(self, name: str, config: str | None) -> None:
        """Remember which config of a role runs (None: not known until its check)."""
        self.save(roles={**self.now["roles"], name: config})


class Steps:
    def __init__(self, commands: Commands, applied: Applied) -> None:
        self.commands, self.applied = commands, applied

    def apply(self, step: dict[str, Any], config: Path, back: bool) -> None:
        """Apply one role. `back`: of a release that goes back; packages only go forward. Raises StepError."""
        role, units = step["role"], step["units"]
        if self.applied.now["roles"].get(role) != step["config"]:  # what runs is unknown until the check
            self.applied.role(role, None)
        self.cloud_init(config, install=step["stage"] == "packages" and not back)
        changed = RUN / "changed" / role  # left by a role's own scripts when more than its cloud-config changed
        if units and (self.applied.now["roles"].get(role) != step["config"] or changed.exists()):
            self.commands.run("systemctl", "daemon-reload")
            self.commands.units(units, "systemctl", "restart", *units, timeout=120)
        elif units:  # one that could not start at boot, for want of the data volume, would stay down
            self.commands.units(units, "systemctl", "start", *units, timeout=120)
        if step["check"]:
            self.commands.units(units, step["check"], timeout=150)
        changed.unlink(missing_ok=True)
        self.applied.role(role, step["config"])

    def cloud_init(self, config: Path, install: bool) -> None:
        """Run the modules that the role's keys need. Raises StepError."""
        keys = re.findall(r"^(\w+):", config.read_text(), re.MULTILINE)
        modules = [name for key, name in MODULES.items() if key in keys and (install or name != INSTALL)]
        final = [[name, "always"] for name in [*modules, "scripts_user"]]
        write(RUN / "modules.json", json.dumps({"cloud_final_modules": final}))
        env = {"SEKHA_NO_START": "1"}  # policy-rc.d of the role `base`: each unit starts in its own step, configured
        files = ("--file", str(RUN / "modules.json"), "--file", str(config))
        for attempt in range(attempts := ATTEMPTS if install else 1):
            forget_errors()
            try:
                return self.commands.run(
                    "cloud-init", "modules", "--mode", "final", *files, timeout=600 if install else LONGEST, env=env
                )
            except StepError as error:
                if attempt == attempts - 1:
                    if install and "E: " not in str(error):
                        self.ask_apt(config)
                    raise
                self.commands.run("dpkg", "--configure", "-a", timeout=300, env=env)
        return None

    def ask_apt(self, config: Path) -> None:
        """Of an unknown package cloud-init only says that one of all failed: apt names it, and does nothing here.
        Raises StepError with its words; returns when nothing keeps the packages from being installed."""
        found = re.search(r"^packages:\n((?:- \S+\n?)+)", config.read_text(), re.MULTILINE)
        names = found[1].replace("- ", "").split() if found else []
        self.commands.run("apt-get", "install", "--simulate", "--quiet", *names, timeout=120)


def forget_errors() -> None:
    """cloud-init's exit code counts the errors of all runs since boot: one failure would fail all later steps."""
    if (path := CLOUD / "status.json").exists():
        status = json.loads(path.read_text())
        status["v1"].get("modules-final", {})["errors"] = []
        write(path, json.dumps(status), 0o644)


def wait_for_cloud_init(seconds: float = 120) -> None:
    """Wait until cloud-init's own run of this boot is over: it shares files with ours."""
    end = time.monotonic() + seconds
    while not (CLOUD / "result.json").exists() and time.monotonic() < end:
        time.sleep(0.1)
