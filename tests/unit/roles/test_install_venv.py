"""install-venv: a virtual environment that a power cut left incomplete is made again, a good one is not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.roles.test_base_scripts import SCRIPTS

UV = """#!/bin/sh
echo "uv $1" >> "{root}/calls"
for target; do :; done
if [ "$1" = venv ]; then mkdir -p "$target/bin" && echo python > "$target/bin/python"; fi
"""


class Venv:
    """`install` runs the script with its paths below `root`; uv is a fake that counts its calls."""

    def __init__(self, root: Path) -> None:
        self.root, release = root, root / "release"
        release.mkdir()
        (release / "service.txt").write_text("sekha==1\n")
        (release / "uv").write_text(UV.format(root=root))
        (release / "uv").chmod(0o755)
        text = (SCRIPTS / "install-venv").read_text()
        for path, moved in (("/var/lib/sekha-deploy/release", release), ("/opt/", f"{root}/opt/")):
            text = text.replace(path, str(moved))
        (root / "script").write_text(text)

    def install(self) -> Path:
        command = ["bash", str(self.root / "script"), "sekha", "service.txt"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return Path(done.stdout.strip())

    def made(self) -> int:
        return (self.root / "calls").read_text().splitlines().count("uv venv")


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    return Venv(tmp_path)


def test_it_is_made_once(venv: Venv) -> None:
    target = venv.install()
    assert venv.install() == target
    assert venv.made() == 1
    (target / "venv" / "bin" / "__pycache__").mkdir()
    (target / "venv" / "bin" / "__pycache__" / "a.pyc").write_text("made while it runs")
    venv.install()
    assert venv.made() == 1


def test_two_at_once_make_it_once(venv: Venv) -> None:
    """The restore's stage lays it out ahead of the role that needs it, which may come meanwhile."""
    with ThreadPoolExecutor(4) as pool:
        targets = list(pool.map(lambda _: venv.install(), range(4)))
    assert len(set(targets)) == 1
    assert venv.made() == 1


def emptied(target: Path) -> None:
    (target / "venv/bin/python").write_text("")


def lost(target: Path) -> None:
    (target / "venv/bin/python").unlink()


def unmarked(target: Path) -> None:
    (target / ".complete").write_text("")


@pytest.mark.parametrize("power_cut", [emptied, lost, unmarked])
def test_what_a_power_cut_left_is_made_again_and_switched_to_anew(
    venv: Venv, power_cut: Callable[[Path], None]
) -> None:
    target = venv.install()
    link = target.parent / "current"
    link.symlink_to(target)
    power_cut(target)
    assert venv.install() == target
    assert venv.made() == 2
    assert (target / "venv/bin/python").read_text() == "python\n"
    assert not link.is_symlink()  # switch-venv makes it again, sees a change, and the unit is restarted
    venv.install()
    assert venv.made() == 2
