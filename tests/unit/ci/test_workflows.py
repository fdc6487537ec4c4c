"""The workflows: they run make targets that exist, actions of pinned commits, and no more rights than they need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parents[3]
FILES = sorted((REPO / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))


def load(path: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(path.read_text())
    return content


def test_all_are_there() -> None:
    names = {path.stem for path in FILES}
    assert {"test", "preview", "deploy", "drift", "drill", "release"} <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_runs_is_a_make_target(path: Path) -> None:
    for job in load(path)["jobs"].values():
        for step in job.get("steps", []):
            if "run" in step:
                found = re.fullmatch(r"(?:sudo --preserve-env=CI )?make ([a-z-]+)", step["run"].strip())
                assert found, step["run"]
                assert found[1] in TARGETS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_their_version_beside(path: Path) -> None:
    for line in path.read_text().splitlines():
        if "uses:" in line and "./" not in line:
            assert re.search(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_rights(path: Path) -> None:
    content = load(path)
    assert content["permissions"]["contents"] == "read"
    assert "pull_request_target" not in content[True]  # YAML reads the key `on` as true
    writes = {
        right
        for rights in (content["permissions"], *(job.get("permissions", {}) for job in content["jobs"].values()))
        for right, value in rights.items()
        if value == "write"
    }
    assert writes == {"preview": {"pull-requests"}, "release": {"contents"}}.get(path.stem, set())


def test_who_only_reads_gets_the_credentials_that_only_read() -> None:
    for name in ("preview", "drift"):
        (job,) = load(REPO / ".github" / "workflows" / f"{name}.yml")["jobs"].values()
        assert job["environment"].endswith("-preview")
