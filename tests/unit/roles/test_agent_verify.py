"""What the agent refuses, and that a refusal changes nothing but the beacon."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
        ({"release": "../../etc"}, "leaves its folder"),
        ({"files": [{"path": "../x", "sha256": "0" * 64, "size": 1, "mode": "0644"}]}, "leaves its folder"),
        ({"files": [{"path": "/etc/x", "sha256": "0" * 64, "size": 1, "mode": "0644"}]}, "leaves its folder"),
    ],
)
def test_signed_but_not_ours(machine: Machine, changes: dict[str, Any], reason: str) -> None:
    machine.publish(machine.manifest(**changes))
    assert reason in refusal(machine)


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
