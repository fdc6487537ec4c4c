"""The Python language host's answers that need no engine."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import language_pb2

from tests.support import wait_for
from tools.toolchain_go import HOST_SOURCES


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(HOST_SOURCES))
    return importlib.import_module("language_host")


def request(**fields: Any) -> language_pb2.RunRequest:
    info = language_pb2.ProgramInfo(root_directory="/project", program_directory="/project", entry_point=".")
    return language_pb2.RunRequest(info=info, project="sekha", stack="local", pwd="/project", parallel=4, **fields)


def test_the_program_runs_in_the_executor(host: Any) -> None:
    command = host.run_command(request(dryRun=True, monitor_address="127.0.0.1:1", args=["one"]), "127.0.0.1:2")
    assert command[-2:] == [".", "one"]
    for option, value in {"--monitor": "127.0.0.1:1", "--engine": "127.0.0.1:2", "--dry_run": "true"}.items():
        assert command[command.index(option) + 1] == value
    assert command[command.index("-u") - 1] == sys.executable


def test_configuration_is_in_the_environment_not_in_the_arguments(host: Any) -> None:
    asked = request(config={"sekha:key": "s3cret"}, configSecretKeys=["sekha:key"])
    environment = host.run_environment(asked)
    assert json.loads(environment["PULUMI_CONFIG"]) == {"sekha:key": "s3cret"}
    assert json.loads(environment["PULUMI_CONFIG_SECRET_KEYS"]) == ["sekha:key"]
    assert "s3cret" not in " ".join(host.run_command(asked, ""))


def test_the_virtualenv_option_is_relative_to_the_project(host: Any) -> None:
    info = language_pb2.ProgramInfo(root_directory="/project")
    assert host.program_python(info) == sys.executable
    info.options["virtualenv"] = "venv"
    assert host.program_python(info) == "/project/venv/bin/python3"


def test_installed_provider_packages_are_required(host: Any, tmp_path: Path) -> None:
    for name, content in {
        "pulumi_hcloud": {"resource": True, "name": "hcloud", "version": "1.32.1"},
        "a_component": {"resource": False, "name": "component"},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "pulumi-plugin.json").write_text(json.dumps(content))
    found = host.required_packages([tmp_path])
    assert [(item.name, item.kind, item.version) for item in found] == [("hcloud", "resource", "1.32.1")]


def test_a_process_ends_when_its_engine_is_killed(tmp_path: Path) -> None:
    module = tmp_path / "waits.py"
    module.write_text("import os, threading\nprint(os.getpid(), flush=True)\nthreading.Event().wait()\n")
    launcher = [sys.executable, "-u", str(HOST_SOURCES / "run_with_engine.py"), "waits"]
    # The engine: starts the plugin and waits, until it is killed hard.
    code = "import subprocess, sys; subprocess.Popen(sys.argv[1:], process_group=0).wait()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *launcher], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=dict(os.environ)
    ) as engine:
        assert engine.stdout is not None
        plugin = int(engine.stdout.readline())
        os.kill(engine.pid, signal.SIGKILL)

    def gone() -> bool:
        status = Path(f"/proc/{plugin}/stat")
        return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z"

    wait_for(gone, 10, "the end of the plugin")
