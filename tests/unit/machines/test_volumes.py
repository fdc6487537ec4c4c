"""Volumes whose attachment fails halfway, and machines that are just rebooting."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from localcloud.backend import BackendError
from localcloud.limits import CgroupV2
from localcloud.machines import guest, loops, process, volumes
from localcloud.machines.paths import Paths


def test_a_volume_that_could_not_be_attached_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(cache=tmp_path, cloud=tmp_path / "cloud")
    paths.make()
    paths.server(7).mkdir()
    paths.volume(3).touch()
    loop = loops.Loop("/dev/loop0", 7, 0, dying=False)
    monkeypatch.setattr(loops, "ensure_loop", lambda file: loop)
    monkeypatch.setattr(loops, "loop_of", lambda file: None)
    monkeypatch.setattr(guest, "is_running", lambda folder: True)

    def broken(*_: object, **__: object) -> str:
        raise BackendError("the machine is not running")

    monkeypatch.setattr(guest, "run_inside", broken)
    with pytest.raises(BackendError, match="not running"):
        volumes.attach(paths, 3, 7, CgroupV2(tmp_path), automount=False)
    assert volumes.attached_to(paths, 3) is None
    assert (paths.server(7) / "guest/volumes").read_text() == "", "the next boot must not find it"


def test_entering_a_machine_waits_for_its_reboot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = process.process(os.getpid())
    assert me is not None
    tries: list[Path] = []

    def leader(folder: Path) -> process.Process | None:
        tries.append(folder)
        return me if len(tries) > 2 else None

    monkeypatch.setattr(guest, "leader", leader)
    me.save(tmp_path / "runner.pid")
    assert guest.enter(tmp_path)[1] == f"--target={me.pid}"
    tries.clear()
    (tmp_path / "runner.pid").unlink()
    with pytest.raises(BackendError, match="not running"):
        guest.enter(tmp_path)


def test_the_plug_is_pulled_on_a_machine_that_is_just_rebooting(tmp_path: Path) -> None:
    """The runner starts the machine anew while we look at the old one: the new one goes too."""
    runner = process.spawn(["/bin/sleep", "60"], tmp_path / "runner.pid", tmp_path / "log")
    machine = process.spawn(["/bin/sleep", "60"], tmp_path / "nspawn.pid", tmp_path / "log")

    def reboot() -> None:
        (tmp_path / "state.json").write_text(json.dumps({"nspawn": {"pid": machine.pid, "start": machine.start}}))
        machine.wait_gone(10)
        process.stop(tmp_path / "runner.pid")

    thread = threading.Timer(0.3, reboot)
    thread.start()
    guest.pull_plug(tmp_path)
    thread.join()
    gone = (machine.alive(), runner.alive())
    process.stop(tmp_path / "nspawn.pid")
    assert gone == (False, False)


def test_a_machine_of_an_earlier_boot_of_the_host_is_nobody(tmp_path: Path) -> None:
    me = process.process(os.getpid())
    assert me is not None
    for boot, there in ((me.boot, True), ("of yesterday", False)):
        state = {"nspawn": {"pid": me.pid, "start": me.start, "boot": boot}}
        (tmp_path / "state.json").write_text(json.dumps(state))
        assert bool(guest.nspawn(tmp_path)) == there, "a signal would hit another process"


def test_a_loop_device_of_another_file_of_the_same_path_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers share the kernel's list of loop devices, and their paths mean other files; a removed file's, too."""
    blocks, ours = tmp_path / "block", tmp_path / "volumes/1.img"
    ours.parent.mkdir()
    ours.touch()
    mine, foreign = (ours.stat().st_dev, ours.stat().st_ino), (ours.stat().st_dev, ours.stat().st_ino + 1)
    files = {"loop0": (str(ours), foreign), "loop1": (f"{ours} (deleted)", foreign), "loop2": (str(ours), mine)}
    for name, (path, _) in files.items():
        (blocks / name / "loop").mkdir(parents=True)
        (blocks / name / "loop/backing_file").write_text(f"{path}\n")
    monkeypatch.setattr(loops, "backing_of", lambda device: files[Path(device).name][1])
    found = loops.loops_below(tmp_path, blocks)
    assert sorted(found) == ["/dev/loop1", "/dev/loop2"], "what is left of a removed file is cleaned up, too"
    monkeypatch.setattr(loops, "loops_below", lambda folder: {"/dev/loop1": ours})
    assert loops.loop_of(ours) is None
