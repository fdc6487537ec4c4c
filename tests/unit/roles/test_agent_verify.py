"""What the agent refuses, and that a refusal changes nothing but the beacon."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from infra import release_sign
from tests.unit.roles.conftest import Machine, make_key


def refusal(machine: Machine) -> str:
    """Poll once; the agent must refuse, apply nothing and say so. Returns the reason."""
    machine.agent().poll(b"")
    beacon = machine.last()
    assert (beacon["stage"], beacon["state"]) == ("verify", "failed")
    assert machine.commands() == []
    assert isinstance(beacon["message"], str)
    return str(beacon["message"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stack": "other"}, "manifest is for stack 'other'; this is 's'"),
        ({"node": "n2"}, "manifest is for node 'n2'; this is 'n1'"),
        ({"format": 2}, "manifest format 2 is not 1"),
        ({"release": "../../etc"}, "release '../../etc' is no name"),
        ({"files": [{"path": "../x", "sha256": "0" * 64, "size": 1, "mode": "0644"}]}, "must not leave its folder"),
        ({"files": [{"path": "/etc/x", "sha256": "0" * 64, "size": 1, "mode": "0644"}]}, "must not leave its folder"),
    ],
)
def test_signed_but_not_ours(machine: Machine, changes: dict[str, Any], reason: str) -> None:
    machine.publish(machine.manifest(**changes))
    assert reason in refusal(machine)


STEP: dict[str, Any] = {"stage": "service", "role": "sekha", "config": "0" * 64, "units": [], "check": None}
FILE: dict[str, Any] = {"path": "w", "sha256": "0" * 64, "size": 1, "mode": "0644"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"generation": "7"}, "generation '7' is no number above 0"),
        ({"generation": True}, "generation True is no number above 0"),
        ({"agent": None}, "agent None has no sha256 and size"),
        ({"agent": {"sha256": "../x", "size": 1}}, "agent {'sha256': '../x', 'size': 1} has no sha256 and size"),
        ({"stack": None}, "stack None is no name"),
        ({"steps": None}, "steps is 'None'"),
        ({"steps": []}, "steps is '[]'"),
        ({"steps": ["x"]}, "steps[0] is 'x', not an object"),
        ({"steps": [{**STEP, "role": "../x"}]}, "steps[0].role is '../x'"),
        ({"steps": [{**STEP, "config": 5}]}, "steps[0].config is '5'"),
        ({"steps": [STEP, {**STEP, "units": "sekha"}]}, "steps[1].units is 'sekha'"),
        ({"steps": [{**STEP, "units": ["--now"]}]}, "steps[0].units is"),
        ({"steps": [{**STEP, "check": "rm"}]}, "steps[0].check is 'rm'"),
        ({"files": {}}, "files is '{}'"),
        ({"files": [{**FILE, "size": -1}]}, "files[0].size is '-1'"),
        ({"files": [{**FILE, "mode": "4755"}]}, "files[0].mode is '4755'"),
        ({"files": [{"path": "w"}]}, "files[0].sha256 is 'missing'"),
        ({"secrets": "x"}, "secrets is 'x', not an object"),
        ({"secrets": {}}, "secrets.sha256 is 'missing'"),
    ],
)
def test_signed_but_malformed(machine: Machine, changes: dict[str, Any], reason: str) -> None:
    """A stolen key, or a broken program: whatever is signed, the machine says what is wrong and goes on serving."""
    machine.publish(machine.manifest(**changes))
    assert f"malformed manifest: {reason}" in refusal(machine)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '{"format": 1}', "[" * 100_000, "\ud800"])
def test_signed_text_that_is_no_manifest(machine: Machine, text: str) -> None:
    with contextlib.suppress(UnicodeEncodeError):
        envelope = {"manifest": text, "signature": release_sign.sign(text, machine.private)}
        machine.bucket.objects["desired/n1"] = json.dumps(envelope).encode()
        assert refusal(machine)


def test_changed_after_signing(machine: Machine) -> None:
    machine.publish(machine.manifest(), text=json.dumps(machine.manifest(generation=2)))
    assert "bad signature" in refusal(machine)


def test_signed_by_a_stranger(machine: Machine) -> None:
    stranger, _ = make_key(machine.root, "stranger")
    machine.publish(machine.manifest(), key=stranger)
    assert "bad signature" in refusal(machine)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"manifest": "x"}'])
def test_not_a_manifest(machine: Machine, body: bytes) -> None:
    machine.bucket.objects["desired/n1"] = body + b" "
    assert "is not a signed manifest" in refusal(machine)


@pytest.mark.parametrize(
    ("generation", "release", "reason"),
    [(4, "0123456789ab", "generation 4 is lower than 5"), (5, "ffffffffffff", "generation 5 is another content for 5")],
)
def test_old_or_reused_generation(machine: Machine, generation: int, release: str, reason: str) -> None:
    machine.publish(machine.manifest(5))
    machine.agent().poll(b"")
    assert machine.last()["state"] == "ok"
    machine.commands()
    machine.publish(machine.manifest(generation, release=release))
    assert reason in refusal(machine)
    assert json.loads((machine.root / "var/lib/sekha-deploy/applied.json").read_text())["generation"] == 5
