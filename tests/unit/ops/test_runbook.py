"""Each command of docs/runbook.md exists: make's targets with their variables, sekha-backup's with its options."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from sekha_backup.__main__ import parser

from ops.paths import REPO

RUNBOOK = REPO / "docs" / "runbook.md"
MAKEFILE = (REPO / "Makefile").read_text()
TEXTS = [MAKEFILE, *(path.read_text() for path in sorted((REPO / "ops").rglob("*.py")))]
"""Where a variable that a target takes is read."""


def commands(text: str) -> list[str]:
    """The lines of all boxes."""
    boxes = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return list(dict.fromkeys(line for box in boxes for line in box.splitlines() if line))


def problem(command: str) -> str:
    """What is wrong with a command, "" = nothing."""
    program, *words = shlex.split(command)
    if program == "sekha-backup":
        try:
            parser().parse_args(words)
        except SystemExit:
            return "sekha-backup does not take this"
        return ""
    if program != "make":
        return f"{program} is neither make nor sekha-backup"
    target, variables = words[0], dict(word.split("=", 1) for word in words[1:])
    if not re.search(rf"^{re.escape(target)}:.*##", MAKEFILE, re.MULTILINE):
        return f"make has no target {target}"
    for name in variables:
        if name != "STACK" and not any(re.search(rf"""["']{name}["']|\$\({name}\)""", text) for text in TEXTS):
            return f"nothing reads {name}"
    return ""


@pytest.mark.parametrize("command", commands(RUNBOOK.read_text()))
def test_a_command_of_the_runbook_exists(command: str) -> None:
    assert problem(command) == ""


def test_there_are_commands() -> None:
    assert len(commands(RUNBOOK.read_text())) > 20


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("make restoration STACK=prod", "no target"),
        ("make restore STACK=prod UNTIL=now", "nothing reads UNTIL"),
        ("sekha-backup restore --until now", "does not take"),
        ("sekha-backup now sometimes", "does not take"),
        ("rm -rf /srv/sekha", "neither"),
    ],
)
def test_one_that_does_not_is_found(command: str, words: str) -> None:
    assert words in problem(command)


@pytest.mark.parametrize("command", [line for line in commands(RUNBOOK.read_text()) if line.startswith("make")])
def test_make_takes_it(command: str) -> None:
    """Make itself knows how; nothing is carried out."""
    done = subprocess.run(["make", "-n", *shlex.split(command)[1:]], cwd=REPO, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_folder_of_the_readme_links_it() -> None:
    assert "runbook.md" in (Path(REPO) / "README.md").read_text()
