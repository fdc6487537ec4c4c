"""Running the Pulumi engine for one stack: state backend, passphrase, config file, and calls."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ops.paths import REPO, cache, stack_dir, write_private
from ops.show import say
from ops.stale_lock import break_stale, drop_torn_sidecars

LOCAL, DRILL = "local", "drill"
ON_LOCAL_CLOUD = (LOCAL, DRILL)  # stacks whose cloud this machine serves, with a config copy made by us
POLICIES = ("--policy-pack", str(REPO / "policy"))
"""What has the engine ask the policy pack about a preview."""


_opened: dict[tuple[str, str], dict[str, str]] = {}  # (path, content) of a config file -> its values in clear


class OperatorError(Exception):
    """Something the operator can mend; the message says what and how."""


def logged_in(environ: Mapping[str, str]) -> bool:
    """Whether the user logged in to a state backend with `pulumi login`."""
    home = Path(environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        return bool(json.loads((home / "credentials.json").read_text()).get("current"))
    except (OSError, ValueError):
        return False


def user_backend(environ: Mapping[str, str]) -> bool:
    """Whether the user chose a state backend: PULUMI_BACKEND_URL, `backend:` in Pulumi.yaml, or `pulumi login`."""
    if environ.get("PULUMI_BACKEND_URL"):
        return True
    if (yaml.safe_load((REPO / "Pulumi.yaml").read_text()) or {}).get("backend"):
        return True
    return logged_in(environ)


def toolchain_plugins(environ: Mapping[str, str]) -> Path | None:
    """The folder of the Hetzner plugin in the toolchain that is first on PATH, if that is one of ours."""
    folder = Path(environ.get("PATH", "").split(os.pathsep)[0]).parent / "plugins"
    return next(iter(folder.glob("resource-hcloud-v*")), None)


@dataclass
class Engine:
    """The engine's view of one stack. `config_file` is None where the tracked Pulumi.STACK.yaml is used."""

    stack: str
    config_file: Path | None = None
    extra_env: dict[str, str] = field(default_factory=dict)

    @property
    def config_path(self) -> Path:
        """The stack's config file, tracked or copied."""
        return self.config_file or REPO / f"Pulumi.{self.stack}.yaml"

    def environment(self) -> dict[str, str]:
        """Environment of every engine call. The user's own backend and passphrase win over ours."""
        env = dict(os.environ)
        env.setdefault("SEKHA_CACHE", str(cache()))
        plugins = toolchain_plugins(env)
        if not logged_in(env):
            env.setdefault("PULUMI_HOME", str(cache() / "pulumi-home"))
        elif plugins:  # the user's own Pulumi home stays as it is; the engine finds our plugin on PATH
            env["PATH"] += f"{os.pathsep}{plugins}"
        if not user_backend(env):
            state = cache() / "state"
            state.mkdir(parents=True, exist_ok=True, mode=0o700)
            env["PULUMI_BACKEND_URL"] = f"file://{state}"
        if "PULUMI_CONFIG_PASSPHRASE" not in env and "PULUMI_CONFIG_PASSPHRASE_FILE" not in env:
            passphrase = stack_dir(self.stack) / "passphrase"
            if passphrase.exists():
                env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase)
        env["PULUMI_SKIP_UPDATE_CHECK"] = "true"
        env.update(self.extra_env)
        return env

    def ensure_passphrase(self) -> None:
        """Make a passphrase for a stack that has no secrets yet; refuse where the one of its secrets is missing."""
        if "PULUMI_CONFIG_PASSPHRASE" in os.environ or "PULUMI_CONFIG_PASSPHRASE_FILE" in os.environ:
            return
        path = stack_dir(self.stack) / "passphrase"
        if path.exists():
            return
        if "encryptionsalt" in self.config():
            raise OperatorError(
                f"passphrase of stack {self.stack!r} is missing: {self.config_path.name} holds secrets made with it. "
                f"Set PULUMI_CONFIG_PASSPHRASE_FILE (or PULUMI_CONFIG_PASSPHRASE), or put it into {path} (mode 0600)."
            )
        write_private(path, secrets.token_urlsafe(32))

    def require_config(self) -> None:
        """Raise OperatorError where the stack's config file is missing."""
        if not self.config_path.exists():
            raise OperatorError(
                f"stack {self.stack!r} has no {self.config_path.name}: copy Pulumi.prod.yaml to it, edit the lines "
                f'marked "yours", then run: make init STACK={self.stack}'
            )

    def config(self) -> dict[str, Any]:
        """The stack's config file as written (secrets still encrypted), {} where there is none."""
        if not self.config_path.exists():
            return {}
        content: dict[str, Any] = yaml.safe_load(self.config_path.read_text()) or {}
        return content

    def command(self, *arguments: str) -> list[str]:
        """The full command line of an engine call that takes a stack."""
        takes_file = self.config_file and arguments[0] != "stack"  # `pulumi stack` works on the state alone
        file = ["--config-file", str(self.config_file)] if takes_file else []
        return ["pulumi", "--non-interactive", "--cwd", str(REPO), *arguments, "--stack", self.stack, *file]

    def run(self, *arguments: str, stdin: str | None = None, interactive: bool = False) -> None:
        """Call the engine and show its output. Raises OperatorError naming the call when it fails."""
        command = self.command(*arguments)
        if interactive:
            command.remove("--non-interactive")
        result = subprocess.run(command, env=self.environment(), input=stdin, text=True, check=False)
        if result.returncode != 0:
            raise OperatorError(
                f"`pulumi {arguments[0]}` failed (exit code {result.returncode}); its output above says why."
            )

    def capture(self, *arguments: str, stdin: str | None = None) -> str:
        """Call the engine and return its standard output. Raises OperatorError with its message when it fails."""
        result = subprocess.run(
            self.command(*arguments), env=self.environment(), input=stdin, text=True, capture_output=True, check=False
        )
        if result.returncode != 0:
            reason = (result.stderr or result.stdout).strip()
            raise OperatorError(f"`pulumi {' '.join(arguments[:2])}` failed: {reason}")
        return result.stdout

    def attempt(self, *arguments: str) -> tuple[str, str]:
        """Call the engine and return its standard output and its messages; failure raises no error."""
        result = subprocess.run(
            self.command(*arguments), env=self.environment(), text=True, capture_output=True, check=False
        )
        return result.stdout, result.stderr

    def select(self) -> None:
        """Create the stack in the state backend unless it is there; clear away what a dead process left."""
        self.ensure_passphrase()
        if not user_backend(os.environ):
            for line in (*break_stale(cache() / "state", self.stack), *drop_torn_sidecars(cache() / "state")):
                say(line)
        exists = subprocess.run(
            ["pulumi", "--non-interactive", "--cwd", str(REPO), "stack", "ls", "--json"],
            env=self.environment(),
            text=True,
            capture_output=True,
            check=False,
        )
        if exists.returncode != 0:
            raise OperatorError(f"the state backend can't be read: {(exists.stderr or exists.stdout).strip()}")
        names = {entry["name"].rsplit("/", 1)[-1] for entry in json.loads(exists.stdout or "[]")}
        if self.stack not in names:
            self._init()

    def _init(self) -> None:
        """Create the stack. `stack init` writes its salt into Pulumi.STACK.yaml of its project folder and knows no
        --config-file: for a config copy, a project file beside the copy makes that folder the project."""
        folder = REPO
        if self.config_file:
            folder = self.config_file.parent
            (folder / "Pulumi.yaml").write_text("name: sekha\nruntime: python\n")
        command = ["pulumi", "--non-interactive", "--cwd", str(folder), "stack", "init", "--stack", self.stack]
        result = subprocess.run(command, env=self.environment(), text=True, capture_output=True, check=False)
        if result.returncode != 0:
            raise OperatorError(f"stack {self.stack!r} can't be made: {(result.stderr or result.stdout).strip()}")

    def secrets(self) -> dict[str, str]:
        """All config values in clear, name -> value (only for this process; never printed).

        The engine is asked once for each state of the file: each call of it costs half a second and more.
        """
        if not self.config().get("config"):
            return {}
        state = (str(self.config_path), self.config_path.read_text())
        if state not in _opened:
            rows: dict[str, dict[str, Any]] = json.loads(self.capture("config", "--show-secrets", "--json"))
            _opened[state] = {name: str(row.get("value", "")) for name, row in rows.items()}
        return dict(_opened[state])

    def set(self, name: str, value: str, *, secret: bool, path: bool = False) -> None:
        """Set one config value; the value travels on standard input, never as an argument."""
        flags = ["--secret" if secret else "--plaintext", *(["--path"] if path else [])]
        self.capture("config", "set", name, *flags, stdin=value)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets included. Empty when the stack is not up."""
        outputs: dict[str, Any] = json.loads(self.capture("stack", "output", "--json", "--show-secrets"))
        return outputs

    def up(self, *arguments: str, interactive: bool = False) -> None:
        self.run("up", *arguments, interactive=interactive)


def stage_seconds(stages: Mapping[str, Any], order: Sequence[str]) -> list[tuple[str, float]]:
    """Rows (stage, seconds) in the given order, skipping stages that did not run."""
    return [(name, float(stages[name])) for name in order if name in stages]
