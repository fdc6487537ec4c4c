"""`python -m tools.litestream_build`: make sure that litestream, for the machines, is cached; print its path.

Built from the pinned Go module in tools/go_machine like the toolchain's programs, but apart: only a stack whose
database is SQLite needs it. Linked statically, so that it runs on any Linux of the machines' architecture; its SQLite
is C, so a C compiler for that architecture is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import toolchain_go as golang
from tools.toolchain_build import cache_folder, key, lock
from tools.toolchain_steps import REPO, ToolchainError, run, say

SOURCE = REPO / "tools" / "go_machine" / "litestream"
PACKAGE = "github.com/benbjohnson/litestream/cmd/litestream"
TAGS = "osusergo,netgo,sqlite_omit_load_extension"  # nothing that would have to be loaded when it runs
COMPILER = "x86_64-linux-gnu-gcc"  # for the machines (infra/plan.py: ARCHITECTURE)
DEBIAN = {"x86_64": ("gcc", "libc6-dev")}  # packages that bring it, by this machine's architecture
CROSS = ("gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross")


def litestream() -> Path:
    """Return the program, building it first unless it is there. Raises ToolchainError."""
    go, identity = golang.find_go(os.environ.get("PATH", ""))
    parts = cache_folder() / "toolchain" / "parts"
    folder = parts / f"litestream-{key((SOURCE, Path(__file__)), identity)}"
    if not folder.is_dir():
        parts.mkdir(parents=True, exist_ok=True)
        with lock(parts.parent / ".litestream.lock"), tempfile.TemporaryDirectory(dir=parts.parent) as name:
            if not folder.is_dir():
                ensure_compiler()
                build(go or golang.install_go(Path(name)), Path(name), folder)
    return folder / "litestream"


def ensure_compiler() -> None:
    """See to the C compiler. Raises ToolchainError."""
    if shutil.which(COMPILER):
        return
    packages = DEBIAN.get(os.uname().machine, CROSS)
    if os.geteuid() or not shutil.which("apt-get"):
        raise ToolchainError(f"{COMPILER} is missing, which litestream needs: apt-get install {' '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    subprocess.run(["apt-get", "update", "-qq"], env=env, stdout=subprocess.DEVNULL, check=False)
    run(f"Debian packages {' '.join(packages)}", command, cwd=REPO, env=env)


def build(go: Path, work: Path, folder: Path) -> None:
    """Build into `folder`; `work` is for what is needed meanwhile."""
    env = golang.go_environment(go, work / "go") | {
        "CGO_ENABLED": "1",
        "CC": COMPILER,
        "GOOS": "linux",
        "GOARCH": "amd64",
    }
    sources, out = work / "litestream-sources", work / "out"
    shutil.copytree(SOURCE, sources)
    out.mkdir()
    flags = '-s -w -linkmode external -extldflags "-static"'
    command: list[str | Path] = [go, "build", "-tags", TAGS, "-ldflags", flags, "-o", out / "litestream", PACKAGE]
    run("building litestream (a few minutes)", command, cwd=sources, env=env)
    out.rename(folder)


def main() -> int:
    """Print the program's path; return the exit code."""
    try:
        print(litestream())
    except ToolchainError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
