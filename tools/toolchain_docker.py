"""`python -m tools.toolchain_docker`: put the Docker plugin where the engine looks for plugins, unless it is there.

Only a stack with `cloud: docker` needs it, so it is no part of the toolchain that everyone waits for. Official where it
can be fetched, else built from the upstream provider and Pulumi's bridge (tools/go/docker), as the Hetzner plugin is.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tools import toolchain_build as build
from tools import toolchain_go as golang
from tools.toolchain_steps import ToolchainError, run, say

VERSION = "5.0.0"  # pulumi_docker's in requirements.in
FOLDER = f"resource-docker-v{VERSION}"
PLUGIN = "pulumi-resource-docker"
TAGS = "-tags=no_compose"  # upstream's own switch: without the resource that links all of Compose


def install_official(pulumi: Path, home: Path) -> bool:
    """Have the engine fetch the official plugin into the Pulumi home `home`; tell whether it could."""
    env = {**os.environ, "PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    command: list[str | Path] = [pulumi, "plugin", "install", "resource", "docker", VERSION]
    try:
        run(f"official Docker plugin {VERSION}", command, cwd=home, env=env, timeout=120)
    except ToolchainError as error:
        say(str(error).splitlines()[-1])
        return False
    return True


def build_plugin(out: Path) -> None:
    """Build the plugin as the file `out`: first the generator, which writes the schema that it embeds."""
    go, _ = golang.find_go(os.environ.get("PATH", ""))
    with tempfile.TemporaryDirectory(prefix=".work-", dir=out.parent, ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        go = go or golang.install_go(work)
        env = golang.go_environment(go, work / "go")
        env["GOFLAGS"] += f" {TAGS}"
        sources, generator = work / "docker", work / "tfgen"
        shutil.copytree(golang.GO_SOURCES / "docker", sources, ignore=shutil.ignore_patterns("*.json"))
        golang.build_program(go, "the Docker schema's generator", "./tfgen", generator, cwd=sources, env=env)
        command: list[str | Path] = [generator, "schema", "--skip-docs", "--out", sources / "plugin"]
        run("Docker schema", command, cwd=work, env=env)
        golang.build_program(go, PLUGIN, "./plugin", work / PLUGIN, cwd=sources, env=env)
        (work / PLUGIN).rename(out)


def plugin(pulumi: Path, home: Path) -> Path:
    """The plugin's file in the Pulumi home `home`, put there first if need be. Raises ToolchainError."""
    target = home / "plugins" / FOLDER / PLUGIN
    parts = build.cache_folder() / "toolchain" / "parts"
    made = parts / f"docker-{build.key((golang.GO_SOURCES / 'docker', Path(__file__)))}"
    if target.exists() and (not target.is_symlink() or target.readlink() == made):
        return target
    home.mkdir(parents=True, exist_ok=True)
    if not made.exists() and install_official(pulumi, home):
        return target
    parts.mkdir(parents=True, exist_ok=True)
    with build.lock(parts / ".docker.lock"):
        if not made.exists():
            build_plugin(made)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(made)
    return target


def main() -> int:
    """Print the plugin's file; return the exit code."""
    home = Path(os.environ.get("PULUMI_HOME") or build.cache_folder() / "pulumi-home")
    pulumi = shutil.which("pulumi")
    try:
        if pulumi is None:
            raise ToolchainError("no pulumi on PATH; run this by `tools/run --tools`")
        print(plugin(Path(pulumi), home))
    except ToolchainError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
