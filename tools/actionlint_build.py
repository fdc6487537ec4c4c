"""`python -m tools.actionlint_build`: make sure that actionlint, a linter of workflows, is cached; print its path.

Built from the pinned Go module in tools/go_lint like the toolchain's programs, but apart: only `make lint` needs it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tools import toolchain_go as golang
from tools.toolchain_build import cache_folder, key, lock
from tools.toolchain_steps import REPO, ToolchainError, say

SOURCE = REPO / "tools" / "go_lint" / "actionlint"


def actionlint() -> Path:
    """Return the program, building it first unless it is there. Raises ToolchainError."""
    go, identity = golang.find_go(os.environ.get("PATH", ""))
    parts = cache_folder() / "toolchain" / "parts"
    folder = parts / f"actionlint-{key((SOURCE, Path(__file__)), identity)}"
    if not folder.is_dir():
        parts.mkdir(parents=True, exist_ok=True)
        with lock(parts.parent / ".actionlint.lock"), tempfile.TemporaryDirectory(dir=parts.parent) as name:
            if not folder.is_dir():
                build(go or golang.install_go(Path(name)), Path(name), folder)
    return folder / "actionlint"


def build(go: Path, work: Path, folder: Path) -> None:
    """Build into `folder`; `work` is for what is needed meanwhile."""
    env = golang.go_environment(go, work / "go")
    sources = work / "actionlint-sources"
    shutil.copytree(SOURCE, sources)
    (work / "out").mkdir()
    package = "github.com/rhysd/actionlint/cmd/actionlint"
    golang.build_program(go, "actionlint", package, work / "out" / "actionlint", cwd=sources, env=env)
    (work / "out").rename(folder)


def main() -> int:
    """Print the program's path; return the exit code."""
    try:
        print(actionlint())
    except ToolchainError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
