"""Stage 0 starts the agent that the release names: what it does when that can't be had, breaks, or is killed."""

from __future__ import annotations

import json
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from infra import release_agent
from tests.unit.roles.conftest import Machine


def launcher(machine: Machine) -> Any:
    """Stage 0 as it is, starting real processes."""
    return machine.module.Launcher()


def publish(machine: Machine, program: bytes, generation: int = 1) -> None:
    """A release whose agent is this Python program."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("__main__.py", program)
    body = made.getvalue()
    agent = {"sha256": machine.bucket.store(body), "size": len(body)}
    machine.publish(machine.manifest(generation, agent=agent))


def test_the_agent_of_the_release_is_run(machine: Machine) -> None:
    publish(machine, f"open({str(machine.root / 'ran')!r}, 'a').write('x')".encode())
    stage0 = launcher(machine)
    last = stage0.poll(b"")
    assert stage0.poll(last) == last
    assert (machine.root / "ran").read_text() == "x"


def test_an_agent_that_breaks_is_reported_once_with_its_last_words(machine: Machine) -> None:
    publish(machine, b"raise SystemExit('import of nonsense sk-sekha-abcdefgh')")
    stage0 = launcher(machine)
    last = stage0.poll(b"")
    stage0.poll(last)
    beacon = machine.last()
    assert (beacon["stage"], beacon["state"], beacon["generation"]) == ("agent", "failed", 1)
    assert beacon["message"] == "agent: ended with exit code 1: import of nonsense ***"
    assert len(machine.bucket.beacons) == 1


def test_a_killed_agent_is_started_again(machine: Machine) -> None:
    ran = machine.root / "ran"
    program = (
        f"import os, pathlib; p = pathlib.Path({str(ran)!r}); n = p.exists(); p.touch(); n or os.kill(os.getpid(), 9)"
    )
    publish(machine, program.encode())
    launcher(machine).poll(b"")
    assert machine.bucket.beacons == []


def test_an_agent_that_is_killed_each_time_is_given_up(machine: Machine) -> None:
    publish(
        machine, f"import os; open({str(machine.root / 'ran')!r}, 'a').write('x'); os.kill(os.getpid(), 9)".encode()
    )
    launcher(machine).poll(b"")
    assert machine.last()["message"].startswith("agent: ended with exit code -9")
    assert (machine.root / "ran").read_text() == "xxx"


def test_an_agent_with_other_content_is_never_run_and_asked_for_again(machine: Machine) -> None:
    publish(machine, b"")
    (key,) = (key for key in machine.bucket.objects if machine.bucket.objects[key].startswith(b"PK"))
    good, machine.bucket.objects[key] = machine.bucket.objects[key], b"evil"
    stage0 = launcher(machine)
    assert stage0.poll(b"") == b""
    beacon = machine.last()
    assert (beacon["stage"], beacon["state"], beacon["generation"]) == ("agent", "failed", 1)
    assert "other content" in beacon["message"]
    machine.bucket.objects[key] = good
    assert stage0.poll(b"") != b""


def test_an_agent_that_was_changed_on_the_machine_is_fetched_again(machine: Machine) -> None:
    publish(machine, f"open({str(machine.root / 'ran')!r}, 'a').write('x')".encode())
    launcher(machine).poll(b"")
    (kept,) = (machine.root / "run/sekha-deploy").glob("agent-*.pyz")
    kept.write_bytes(b"other")
    launcher(machine).poll(b"")
    assert (machine.root / "ran").read_text() == "xx"
    assert kept.read_bytes() != b"other"


def test_full_disk_before_the_agent_runs_is_reported(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device")

    publish(machine, b"")
    stage0 = launcher(machine)
    monkeypatch.setattr("sekha_stage0.launcher.write", full)
    stage0.poll(b"")
    assert "No space left on device" in machine.last()["message"]
    assert machine.last()["generation"] == 1


def test_the_built_agent_runs_and_equal_sources_are_equal_bytes(machine: Machine, tmp_path: Path) -> None:
    body = release_agent.build()
    assert body == release_agent.build()
    agent = {"sha256": machine.bucket.store(body), "size": len(body)}
    machine.publish(machine.manifest(agent=agent, steps=[{}]))
    launcher(machine).poll(b"")
    assert "malformed manifest: steps[0].stage is 'missing'" in machine.last()["message"]
    assert json.loads((machine.root / "var/lib/sekha-deploy/accepted.json").read_text())["generation"] == 1
    assert sys.version_info >= (3, 11)
