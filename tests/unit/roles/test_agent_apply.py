"""How the agent applies releases: order, restarts, reports, failures, what it does after it was killed."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.roles import CLOUD_INIT
from tests.unit.roles.conftest import FakeBucket, Machine


def applied(machine: Machine) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((machine.root / "var/lib/sekha-deploy/applied.json").read_text())
    return state


def short(machine: Machine) -> list[str]:
    """The commands since the last look, without paths."""
    lines = machine.commands()
    return [f"cloud-init {line.rpartition('/')[2]}" if line.startswith("cloud-init") else line for line in lines]


def test_first_release(machine: Machine) -> None:
    machine.publish(machine.manifest(secrets=machine.seal({"passphrase": "correct horse"})))
    machine.agent().poll(b"")
    assert [(beacon["stage"], beacon["state"]) for beacon in machine.bucket.beacons] == [
        ("packages", "running"),
        ("service", "running"),
        ("serving", "running"),
        ("serving", "ok"),
    ]
    beacon = machine.last()
    assert set(beacon["stages"]) == {"boot", "packages", "service", "serving"}
    assert {entry["state"] for entry in beacon["stages"].values()} == {"ok"}
    assert (beacon["instance_id"], beacon["boot_id"], beacon["generation"]) == ("4711", "boot-1", 1)
    assert (beacon["release"], beacon["version"], beacon["message"]) == ("0123456789ab", "1.2.3", "")
    assert short(machine) == [
        "cloud-init base.yaml",
        "cloud-init sekha.yaml",
        "systemctl daemon-reload",
        "systemctl restart sekha.service",
    ]
    assert (machine.root / "var/lib/sekha-deploy/release/wheels/a.whl").read_bytes() == b"wheel" * 1000
    secrets = machine.root / "run/sekha-deploy/secrets.json"
    assert json.loads(secrets.read_text()) == {"passphrase": "correct horse"}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


def test_modules_follow_the_keys_of_the_role(machine: Machine) -> None:
    machine.publish(machine.manifest())
    machine.agent().poll(b"")
    runs = [json.loads(line) for line in (machine.root / "calls.modules").read_text().splitlines()]
    assert [[name for name, _ in run["cloud_final_modules"]] for run in runs] == [
        ["write_files", "package_update_upgrade_install", "scripts_user"],
        ["runcmd", "scripts_user"],
    ]


def test_no_service_starts_while_packages_are_installed(machine: Machine) -> None:
    machine.publish(machine.manifest())
    machine.agent().poll(b"")
    assert set((machine.root / "calls.env").read_text().splitlines()) == {"NO_START=1"}


def test_errors_of_an_earlier_run_do_not_count(machine: Machine) -> None:
    """As cloud-init does it: the exit code is the number of errors in status.json, which only grows."""
    status = machine.root / "var/lib/cloud/data/status.json"
    status.write_text(json.dumps({"v1": {"modules-final": {"errors": ["old"]}, "stage": None}}))
    (machine.root / "calls.fail").write_text(
        'case "$0" in *cloud-init) grep -q old "$ROOT/var/lib/cloud/data/status.json" && exit 1;; esac\n'
    )
    machine.publish(machine.manifest())
    machine.agent().poll(b"")
    assert machine.last()["state"] == "ok"


def test_unchanged_role_is_not_restarted_but_started_if_it_is_down(machine: Machine) -> None:
    for generation in (1, 2):
        machine.publish(machine.manifest(generation))
        machine.agent().poll(b"")
    units = [line for line in short(machine) if line.startswith("systemctl") and "daemon-reload" not in line]
    assert units == ["systemctl restart sekha.service", "systemctl start sekha.service"]
    assert (machine.last()["generation"], machine.last()["state"]) == (2, "ok")


def test_mark_of_a_roles_script_restarts_its_units(machine: Machine) -> None:
    machine.publish(machine.manifest(1))
    machine.agent().poll(b"")
    machine.commands()
    mark = machine.root / "run/sekha-deploy/changed/sekha"
    mark.parent.mkdir()
    mark.touch()
    machine.publish(machine.manifest(2))
    machine.agent().poll(b"")
    assert "systemctl restart sekha.service" in machine.commands()
    assert not mark.exists()


def test_failed_unit_is_reported_with_its_journal_and_without_secrets(machine: Machine, bucket: FakeBucket) -> None:
    (machine.root / "calls.fail").write_text(
        'case "$(basename "$0") $*" in "systemctl restart"*) echo no start; exit 1;;\n'
        'journalctl*) echo "panic: sk-sekha-abcdefgh password=hunter2 NODESECRETKEY correct horse";; esac\n'
    )
    machine.publish(machine.manifest(secrets=machine.seal({"passphrase": "correct horse"})))
    machine.agent().poll(b"")
    beacon = machine.last()
    assert (beacon["stage"], beacon["state"]) == ("service", "failed")
    assert beacon["message"] == "service: systemctl restart sekha.service: exit code 1: no start"
    assert beacon["stages"]["packages"]["state"] == "ok"
    assert beacon["stages"]["service"]["state"] == "failed"
    assert "panic: *** *** *** ***" in beacon["log_tail"]
    sent = b"".join(body for key, body in bucket.objects.items() if key.startswith("status/"))
    for secret in (b"abcdefgh", b"hunter2", b"NODESECRETKEY", b"correct horse"):
        assert secret not in sent


def test_a_long_line_keeps_its_end_and_no_part_of_a_secret(machine: Machine) -> None:
    (machine.root / "calls.fail").write_text(
        f'case "$(basename "$0") $*" in "systemctl restart"*) exit 1;;\n'
        f'journalctl*) echo "Traceback {"x" * 172} NODESECRETKEY {"y" * 600} RuntimeError: broken"; exit 0;; esac\n'
    )
    machine.publish(machine.manifest())
    machine.agent().poll(b"")
    (line,) = (line for line in machine.last()["log_tail"] if line.startswith("Traceback"))
    assert line.endswith("y RuntimeError: broken")
    assert len(line) <= 500
    assert "NODE" not in line


def test_apts_own_words_are_the_reason_and_not_what_was_said_after_them(machine: Machine) -> None:
    (machine.root / "calls.fail").write_text(
        'case "$*" in *base.yaml) echo "E: Unable to locate package x"; echo "no swap file made"; exit 1;; esac\n'
    )
    machine.publish(machine.manifest())
    machine.agent().poll(b"")
    assert machine.last()["message"].endswith("exit code 1: E: Unable to locate package x")


@pytest.mark.parametrize(("knows", "reason"), [(False, "E: Unable to locate package nosuch"), (True, "Setting up y")])
def test_a_package_that_apt_does_not_know_is_the_reason(machine: Machine, knows: bool, reason: str) -> None:
    """cloud-init installs the others, and says of all of them that they failed."""
    (machine.root / "calls.fail").write_text(
        'case "$(basename "$0") $*" in\n'
        '  *base.yaml) echo "Setting up y"; echo "x.py[WARNING]: Failure: [y, nosuch]"; exit 1;;\n'
        f"  apt-get*) [ {int(knows)} = 1 ] && exit 0; "
        'echo "Reading lists"; echo "E: Unable to locate package nosuch"; exit 100;;\n'
        "esac\n"
    )
    manifest = machine.manifest()
    manifest["steps"][0]["config"] = machine.bucket.store(b"#cloud-config\npackages:\n- y\n- nosuch\nruncmd: []\n")
    machine.publish(manifest)
    machine.agent().poll(b"")
    assert machine.last()["message"].startswith("packages: ")
    assert machine.last()["message"].endswith(reason)
    assert "apt-get install --simulate --quiet y nosuch" in machine.commands()


def test_apt_is_asked_about_the_packages_as_they_are_rendered(machine: Machine) -> None:
    config = Path(__file__).with_name("golden") / "base.yaml"
    machine.part().steps.ask_apt(config)
    names = yaml.safe_load(config.read_text())["packages"]
    assert machine.commands() == [f"apt-get install --simulate --quiet {' '.join(names)}"]


def test_failed_release_puts_the_one_before_back(machine: Machine) -> None:
    machine.publish(machine.manifest(1))
    machine.agent().poll(b"")
    machine.commands()
    worse = machine.bucket.store(b"#cloud-config\nruncmd: [[worse]]\n")
    step = {"stage": "service", "role": "sekha", "config": worse, "units": ["sekha.service"], "check": None}
    manifest = machine.manifest(2, release="ffffffffffff")
    manifest["steps"][1] = step
    (machine.root / "calls.fail").write_text(
        'case "$*" in *ffffffffffff/roles/sekha.yaml) echo broken; echo "x.py[WARNING]: failed"; exit 1;; esac\n'
    )
    machine.publish(manifest)
    machine.agent().poll(b"")
    beacon = machine.last()
    assert (beacon["generation"], beacon["stage"], beacon["state"]) == (2, "service", "failed")
    assert beacon["message"].endswith("broken; release 0123456789ab serves again")
    assert (machine.root / "var/lib/sekha-deploy/release").resolve().name == "0123456789ab"
    assert short(machine).count("cloud-init base.yaml") == 2
    installs = [
        "install" in line for line in (machine.root / "calls.modules").read_text().splitlines() if "write_files" in line
    ]
    assert installs == [True, True, False]  # packages only go forward


def test_going_back_restarts_what_the_failed_release_had_started(machine: Machine) -> None:
    """The old files are back on disk; the unit still runs with, or was stopped by, the new ones."""
    machine.publish(machine.manifest(1))
    machine.agent().poll(b"")
    machine.commands()
    (machine.root / "calls.fail").write_text(
        'case "$(basename "$0") $*" in "systemctl restart"*)'
        ' [ -e "$CALLS.once" ] || { touch "$CALLS.once"; exit 1; };; esac\n'
    )
    manifest = machine.manifest(2, release="ffffffffffff")
    manifest["steps"][1]["config"] = machine.bucket.store(b"#cloud-config\nruncmd: [[worse]]\n")
    machine.publish(manifest)
    machine.agent().poll(b"")
    assert machine.last()["message"].endswith("release 0123456789ab serves again")
    assert machine.commands().count("systemctl restart sekha.service") == 2


@pytest.mark.parametrize("in_vain", [False, True])
def test_going_back_begins_with_what_failed(machine: Machine, in_vain: bool) -> None:
    """Clients wait for it, and not for the roles before it. All of them follow, also when that alone was in vain."""
    machine.publish(machine.manifest(1))
    machine.agent().poll(b"")
    machine.commands()
    once = '[ -e "$CALLS.once" ] || { touch "$CALLS.once"; exit 1; }' if in_vain else ":"
    (machine.root / "calls.fail").write_text(
        f'case "$*" in *ffffffffffff/roles/sekha.yaml) exit 1;;\n*0123456789ab/roles/sekha.yaml) {once};; esac\n'
    )
    manifest = machine.manifest(2, release="ffffffffffff")
    manifest["steps"][1]["config"] = machine.bucket.store(b"#cloud-config\nruncmd: [[worse]]\n")
    machine.publish(manifest)
    machine.agent().poll(b"")
    assert machine.last()["message"].endswith("release 0123456789ab serves again")
    roles = [line.removeprefix("cloud-init ") for line in short(machine) if line.startswith("cloud-init")]
    assert roles == ["base.yaml", "sekha.yaml", "sekha.yaml", "base.yaml", "sekha.yaml"]


def test_killed_after_a_roles_files_were_written_and_told_to_go_back_restarts(machine: Machine) -> None:
    machine.publish(machine.manifest(1))
    machine.agent().poll(b"")
    manifest = machine.manifest(2, release="ffffffffffff")
    manifest["steps"][1]["config"] = machine.bucket.store(b"#cloud-config\nruncmd: [[other]]\n")
    machine.publish(manifest)
    (machine.root / "calls.fail").write_text('case "$*" in *ffffffffffff/roles/sekha.yaml) kill -9 $PPID;; esac\n')
    launcher = machine.agent()
    launcher.run = lambda agent: ""
    launcher.poll(b"")  # accepted
    code = "from sekha_agent import release; release.main()"
    paths = {"PYTHONPATH": os.pathsep.join(str(CLOUD_INIT / part) for part in ("stage0", "agent"))}
    killed = subprocess.run([sys.executable, "-c", code], env=os.environ | paths, check=False)
    assert killed.returncode == -signal.SIGKILL
    machine.commands()
    machine.publish(machine.manifest(3))
    machine.agent().poll(b"")
    assert machine.last()["state"] == "ok"
    assert "systemctl restart sekha.service" in machine.commands()


@pytest.mark.parametrize("full_from", [1, 4])
def test_a_full_disk_is_reported(machine: Machine, monkeypatch: pytest.MonkeyPatch, full_from: int) -> None:
    write, writes = machine.module.write, 0

    def full(path: Path, data: str | bytes, mode: int = 0o600) -> None:
        nonlocal writes
        writes += path.name == "applied.json"
        if path.name == "applied.json" and writes >= full_from:
            raise OSError(28, "No space left on device")
        write(path, data, mode)

    monkeypatch.setattr("sekha_agent.steps.write", full)
    machine.publish(machine.manifest())
    machine.agent().loop(range(2))
    beacon = machine.last()
    assert (beacon["generation"], beacon["state"]) == (1, "failed")
    assert "No space left on device" in beacon["message"]


def test_an_error_that_nobody_thought_of_is_reported(machine: Machine) -> None:
    (machine.root / "var/lib/cloud/data/status.json").write_text("")
    machine.publish(machine.manifest())
    machine.agent().poll(b"")
    beacon = machine.last()
    assert (beacon["stage"], beacon["state"]) == ("packages", "failed")
    assert "JSONDecodeError" in beacon["message"]


def test_a_file_that_a_power_cut_emptied_is_fetched_again(machine: Machine) -> None:
    """Its name is in the folder, its content never got to the disk. An emptied role would be applied as nothing."""
    manifest = machine.manifest()
    machine.publish(manifest)
    machine.agent().poll(b"")
    for path in (machine.root / "var/lib/sekha-deploy/files").iterdir():
        path.write_bytes(b"")
    machine.publish(machine.manifest(2))
    machine.agent().poll(b"")
    release = machine.root / "var/lib/sekha-deploy/release"
    assert machine.last()["state"] == "ok"
    assert b"packages:\n- x" in (release / "roles/base.yaml").read_bytes()
    assert (release / "wheels/a.whl").stat().st_size == 5000


def test_output_of_commands_is_in_no_file_that_others_can_read(machine: Machine) -> None:
    machine.module.Commands(machine.part().report).run("echo", "password=hunter2")
    assert not [
        path for path in (machine.root / "run").rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()
    ]


def test_lines_of_a_secret_and_its_message_after_a_restart_stay_hidden(machine: Machine, bucket: FakeBucket) -> None:
    (machine.root / "calls.fail").write_text('case "$*" in *base.yaml) echo second-line; exit 1;; esac\n')
    machine.publish(machine.manifest(secrets=machine.seal({"key": "first-line\nsecond-line"})))
    machine.agent().poll(b"")
    machine.agent().poll(b"")
    assert machine.last()["state"] == "failed"
    assert "second-line" not in json.dumps(bucket.beacons)


@pytest.mark.parametrize("fails", [1, 3])
def test_packages_are_tried_three_times(machine: Machine, fails: int) -> None:
    (machine.root / "calls.fail").write_text(
        'case "$*" in *base.yaml) n=$(cat "$CALLS.n" 2>/dev/null || echo 0); echo $((n+1)) > "$CALLS.n";'
        f' [ "$n" -ge {fails} ] || {{ echo mirror; exit 100; }};; esac\n'
    )
    machine.publish(machine.manifest())
    machine.agent().poll(b"")
    assert machine.last()["state"] == ("ok" if fails == 1 else "failed")
    assert machine.commands().count("dpkg --configure -a") == min(fails, 2)


def test_killed_in_the_middle_applies_again(machine: Machine) -> None:
    machine.publish(machine.manifest())
    machine.agent().poll(b"")
    machine.commands()
    (machine.root / "var/lib/sekha-deploy/applied.json").write_text(
        json.dumps({**applied(machine), "state": "running"})
    )
    machine.agent().poll(b"")
    assert "cloud-init base.yaml" in short(machine)
    assert machine.last()["state"] == "ok"


@pytest.mark.parametrize(("state", "stage"), [("ok", "serving"), ("failed", "service")])
def test_restarted_agent_reports_for_its_boot_and_applies_nothing(machine: Machine, state: str, stage: str) -> None:
    machine.publish(machine.manifest())
    machine.agent().poll(b"")
    machine.commands()
    saved = {**applied(machine), "state": state, "failed": ["service", "it broke"]}
    (machine.root / "var/lib/sekha-deploy/applied.json").write_text(json.dumps(saved))
    (machine.root / "proc/sys/kernel/random/boot_id").write_text("boot-2")
    machine.agent().poll(b"")
    beacon = machine.last()
    assert (beacon["boot_id"], beacon["stage"], beacon["state"]) == ("boot-2", stage, state)
    assert machine.commands() == []


def test_secrets_sealed_with_another_key_stop_the_release(machine: Machine) -> None:
    machine.publish(machine.manifest(secrets=machine.seal({"passphrase": "correct horse"}, key="cd" * 32)))
    machine.agent().poll(b"")
    assert "not sealed with this stack's key" in machine.last()["message"]
    assert machine.commands() == []
    assert not (machine.root / "run/sekha-deploy/secrets.json").exists()


def test_only_two_releases_are_kept(machine: Machine) -> None:
    for generation, letter in enumerate("abc", 1):
        manifest = machine.manifest(generation, release=letter * 12)
        data = letter.encode() * 100
        manifest["files"] = [{"path": "w", "sha256": machine.bucket.store(data), "size": 100, "mode": "0644"}]
        machine.publish(manifest)
        machine.agent().poll(b"")
    folder = machine.root / "var/lib/sekha-deploy"
    assert sorted(path.name for path in (folder / "releases").iterdir()) == ["b" * 12, "c" * 12]
    stored = {path.read_bytes()[:1] for path in (folder / "files").iterdir() if path.stat().st_size == 100}
    assert stored == {b"b", b"c"}


def test_command_that_takes_too_long_is_killed(machine: Machine) -> None:
    with pytest.raises(machine.module.StepError, match=r"sh -c .*: killed after 0.2 s: begun"):
        machine.module.Commands(machine.part().report).run("sh", "-c", "echo begun; sleep 60 & sleep 60", timeout=0.2)


def test_loop_says_it_is_there_and_outlives_a_bucket_without_release(machine: Machine) -> None:
    machine.agent().loop(range(3))
    assert [(beacon["stage"], beacon["message"]) for beacon in machine.bucket.beacons] == [
        ("boot", "waiting for a release")
    ]
    assert machine.last()["generation"] == 0
