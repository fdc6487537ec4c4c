"""The base role's scripts that touch disks, run with fake commands and with their paths in a folder of the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.roles import CLOUD_INIT

SCRIPTS = CLOUD_INIT / "base" / "files" / "usr" / "local" / "lib" / "sekha-deploy"
COMMANDS = (
    "expects-data",
    "mountpoint",
    "stat",
    "blkid",
    "resize2fs",
    "mkfs.ext4",
    "systemctl",
    "systemd-detect-virt",
    "cmp",
)
SWAP_COMMANDS = ("systemd-detect-virt", "swapoff", "swapon", "mkswap")


class Disk:
    """`run` a script whose commands are fakes: `answers` maps a command to the shell lines it runs."""

    def __init__(self, root: Path) -> None:
        self.root, self.data = root, root / "data"
        (root / "bin").mkdir()
        self.data.mkdir()

    def run(self, script: str, *arguments: str, answers: dict[str, str]) -> subprocess.CompletedProcess[str]:
        text = (SCRIPTS / script).read_text()
        text = text.replace("/usr/local/lib/sekha-deploy/", "")  # the scripts it calls are fakes too
        for path in ("/srv/sekha", "/var/lib/sekha-swap", "/etc/fstab", "/proc/swaps"):
            text = text.replace(path, str(self.root / path.rpartition("/")[2].replace("sekha", "data")))
        text = text.replace("! -b ", "! -e ").replace("-b ", "-e ")
        (self.root / "script").write_text(text)
        for name, answer in answers.items():
            command = self.root / "bin" / name
            command.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.root}/calls"\n{answer}\n')
            command.chmod(0o755)
        env = {**os.environ, "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"}
        argv = ["bash", str(self.root / "script"), *arguments]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)

    def called(self, name: str) -> bool:
        calls = self.root / "calls"
        return calls.exists() and any(line.startswith(name) for line in calls.read_text().splitlines())


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def prepare(disk: Disk, **changes: str) -> subprocess.CompletedProcess[str]:
    """prepare-data for a volume (device 8:16) that is mounted already, unless `changes` say otherwise."""
    if not (disk.root / "device").exists():
        (disk.root / "device").write_bytes(bytes(512))
    mounted = 'case "$*" in -d*) echo 8:16;; esac; exit 0'
    stat = 'case "$*" in *%t*) echo 8;; *) echo 10;; esac'  # hexadecimal
    answers = dict.fromkeys(COMMANDS, "exit 0") | {"mountpoint": mounted, "stat": stat}
    answers |= dict.fromkeys(("systemd-detect-virt", "expects-data"), "exit 1")
    return disk.run("prepare-data", str(disk.root / "device"), answers=answers | changes)


def test_a_grown_volume_is_grown_while_it_is_mounted(disk: Disk) -> None:
    assert prepare(disk).returncode == 0
    assert disk.called(f"resize2fs {disk.root}/device")
    assert not disk.called("mkfs")


@pytest.mark.parametrize(("virt", "code"), [("exit 1", 1), ("exit 0", 0)])
def test_a_volume_that_can_not_grow_is_told(disk: Disk, virt: str, code: int) -> None:
    made = prepare(disk, resize2fs="echo no room >&2; exit 1", **{"systemd-detect-virt": virt})
    assert made.returncode == code
    assert "can't be grown to the size of its volume: no room" in made.stderr


def test_another_device_mounted_there_is_refused(disk: Disk) -> None:
    made = prepare(disk, mountpoint='case "$*" in -d*) echo 8:32;; esac; exit 0')
    assert made.returncode == 1
    assert "is device 8:32, and the data volume" in made.stderr
    assert "is 8:16" in made.stderr


def test_data_on_the_root_disk_is_not_hidden_by_a_volume(disk: Disk) -> None:
    (disk.data / "postgresql").mkdir()
    made = prepare(disk, mountpoint="exit 1")
    assert made.returncode == 1
    assert "holds files on the root disk" in made.stderr
    assert not disk.called("systemctl restart")


@pytest.mark.parametrize(
    ("blkid", "cmp", "said"),
    [
        ('case "$*" in *TYPE*) echo xfs;; esac', "exit 0", "holds xfs, not ext4"),
        ('case "$*" in *TYPE*) ;; esac', "exit 0", "holds data that is no file system"),  # a partition table
        ("exit 2", "exit 1", "holds data that is no file system"),
    ],
)
def test_only_a_blank_volume_is_formatted(disk: Disk, blkid: str, cmp: str, said: str) -> None:
    made = prepare(disk, mountpoint="exit 1", blkid=blkid, cmp=cmp)
    assert made.returncode == 1
    assert said in made.stderr
    assert not disk.called("mkfs")


def test_a_blank_volume_is_formatted_and_mounted(disk: Disk) -> None:
    prepare(disk, mountpoint='case "$*" in -d*) echo 8:16; exit 0;; esac; exit 1', blkid="exit 2")
    assert disk.called("mkfs.ext4")
    lines = (disk.root / "calls").read_text().splitlines()
    stopped, mounted = (lines.index(f"systemctl {verb} srv-sekha.mount") for verb in ("stop", "restart"))
    assert stopped < mounted, "what ran on a volume that was there before ends first"


def test_a_volume_that_can_not_be_read_is_told_as_that(disk: Disk) -> None:
    made = prepare(disk, mountpoint="exit 1", head="echo Operation not permitted >&2; exit 1")
    assert made.returncode == 1
    assert "can't be read" in made.stderr
    assert "Operation not permitted" in made.stderr


def test_a_device_whose_volume_was_pulled_is_said_to_be_empty(disk: Disk) -> None:
    (disk.root / "device").touch()
    made = prepare(disk, mountpoint="exit 1", blkid="exit 2", cmp="exit 1")
    assert made.returncode == 1
    assert "no longer attached: it is empty" in made.stderr
    assert not disk.called("mkfs")


def test_a_blank_volume_that_has_served_is_not_formatted(disk: Disk) -> None:
    made = prepare(disk, mountpoint="exit 1", blkid="exit 2", **{"expects-data": "exit 0"})
    assert made.returncode == 1
    assert "is blank, and this stack's data were on it" in made.stderr
    assert not disk.called("mkfs")


@pytest.mark.parametrize(("manifest", "code"), [({"data": "expected"}, 0), ({"data": "new"}, 1), ({}, 1), (None, 1)])
def test_data_are_expected_where_the_release_says_so(disk: Disk, manifest: object, code: int) -> None:
    if manifest is not None:
        (disk.root / "applied.json").write_text(json.dumps({"manifest": json.dumps(manifest)}))
    text = (SCRIPTS / "expects-data").read_text().replace("/var/lib/sekha-deploy", str(disk.root))
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == code


def test_swap_killed_while_it_was_made_is_made_again(disk: Disk) -> None:
    (disk.root / "fstab").touch()
    (disk.root / "swaps").touch()
    answers = dict.fromkeys(SWAP_COMMANDS, "exit 0") | {"systemd-detect-virt": "exit 1"}
    killed = disk.run("prepare-swap", "1", answers=answers | {"mkswap": "kill -9 $PPID"})
    assert killed.returncode != 0
    assert disk.run("prepare-swap", "1", answers=answers | {"mkswap": "touch $2.made"}).returncode == 0
    swap = disk.root / "data-swap"
    assert (disk.root / "data-swap.new.made").exists()
    assert swap.stat().st_size == 1 << 20
    assert disk.called(f"swapon {swap}")
    assert disk.run("prepare-swap", "1", answers=answers).returncode == 0
    assert (disk.root / "fstab").read_text() == f"{swap} none swap sw 0 0\n"
    assert disk.run("prepare-swap", "0", answers=answers).returncode == 0
    assert not swap.exists()
    assert (disk.root / "fstab").read_text() == ""


def test_waiting_ends_in_time_though_each_try_hangs(disk: Disk) -> None:
    made = disk.run("wait-until", "1", "it is not there", "-", "ask", answers={"ask": "sleep 1.1; exit 1"})
    assert made.returncode == 1
    assert "it is not there: not within 1 s" in made.stderr
    assert (disk.root / "calls").read_text().count("ask") == 1
