"""bin/localcloud installs requirements-localcloud.txt and nothing else: it has to hold all that localcloud imports."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

REPO = Path(__file__).parent.parent.parent.parent
INSIDE = ("cloudinit", "slc_dmi")  # modules of the machines that image/files are for


def pinned(name: str) -> dict[str, str]:
    """package -> version of a lock file."""
    return dict(re.findall(r"^([\w.-]+)==([\w.+]+)", (REPO / name).read_text(), re.MULTILINE))


def imported() -> set[str]:
    """The top-level modules that localcloud/ imports."""
    found = set()
    for file in (REPO / "localcloud").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


def test_every_import_is_installed() -> None:
    ours = {"localcloud", "tools", *INSIDE, *sys.stdlib_module_names}
    packages = packages_distributions()
    wanted = {packages[name][0].lower() for name in imported() - ours}
    assert "starlette" in wanted
    assert wanted <= set(pinned("requirements-localcloud.txt"))


def test_its_versions_are_those_of_everything_else() -> None:
    whole = pinned("requirements.txt")
    own = pinned("requirements-localcloud.txt")
    assert own == {name: version for name, version in whole.items() if name in own}
