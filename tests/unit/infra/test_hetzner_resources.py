"""What the Hetzner adapter registers, under Pulumi's mocks: it obeys the plan, hides user-data, protects data."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pulumi
import pytest

from infra import plan
from infra.bootstrap import Stage0
from infra.bucket_policy import policy
from infra.clouds import Placement, hetzner
from tests.unit.infra import samples
from tests.unit.infra.samples import HETZNER

USER_DATA = "#cloud-config secret"
KEYS = ["ssh-ed25519 AAAAone me", "ssh-ed25519 AAAAtwo you"]


class Recorder(pulumi.runtime.Mocks):
    """Remembers every resource's inputs by type."""

    def __init__(self) -> None:
        self.seen: dict[str, list[dict[str, Any]]] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        kind = args.typ.split(":")[-1]
        self.seen.setdefault(kind, []).append(args.inputs)
        number = str(100 + sum(map(len, self.seen.values())))
        extra = {"ipAddress": "198.51.100.10", "linuxDevice": f"/dev/disk/by-id/scsi-0HC_Volume_{number}"}
        return number, {**args.inputs, **extra}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


# The event loop that the SDK expects the thread to have, whatever a test before did to it. It is never closed: the
# SDK leaves tasks on it, which would be destroyed while pending.
LOOP = asyncio.new_event_loop()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    asyncio.set_event_loop(LOOP)
    pulumi.runtime.set_mocks(made)
    yield made
    pulumi.runtime.settings.reset_options()
    asyncio.set_event_loop(None)


def _build(known: dict[str, int] | None = None, **changes: object) -> tuple[plan.Plan, Any]:
    planned = plan.plan(samples.settings(sshPublicKeys=KEYS, **changes), HETZNER)
    placement = Placement(planned.choices[0], "test", known or {})
    done: dict[str, Any] = {}

    def program() -> Any:
        machine = hetzner.build(planned, placement, HETZNER, cast(Stage0, SimpleNamespace(text=lambda: USER_DATA)))
        outputs = pulumi.Output.all(machine.address, machine.instance_id, machine.data_device)
        return outputs.apply(lambda values: done.update(values=values, machine=machine))

    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return planned, done


def test_resources_follow_the_plan(recorder: Recorder) -> None:
    planned, done = _build(adminCidrs=["203.0.113.7/32"])
    counts = {kind: len(rows) for kind, rows in recorder.seen.items()}
    assert {k: n for k, n in counts.items() if k != "Hetzner"} == {
        "SshKey": 2, "Network": 1, "NetworkSubnet": 1, "Firewall": 1, "PrimaryIp": 1, "PlacementGroup": 1, "Server": 1,
        "ServerNetwork": 1, "Volume": 1,
    }  # fmt: skip
    (server,), (volume,), (address,) = (recorder.seen[kind] for kind in ("Server", "Volume", "PrimaryIp"))
    assert (server["serverType"], server["location"], server["image"]) == ("cx23", "fsn1", "debian-13")
    assert "datacenter" not in server
    assert volume["size"] == planned.volume_gb
    assert address["autoDelete"] is False
    assert done["values"][0] == "198.51.100.10"
    for rows in recorder.seen.values():
        assert all(row["labels"]["sekha-stack"] == "test" for row in rows if "labels" in row)


def test_the_firewall_is_the_plans(recorder: Recorder) -> None:
    planned, _ = _build(adminCidrs=["203.0.113.7/32"])
    (firewall,) = recorder.seen["Firewall"]
    rules = {(rule["protocol"], rule.get("port"), tuple(rule["sourceIps"])) for rule in firewall["rules"]}
    assert rules == {(rule.protocol, rule.port, rule.sources) for rule in planned.firewall}
    assert ("tcp", "22", ("203.0.113.7/32",)) in rules
    assert all(rule["direction"] == "in" for rule in firewall["rules"])


def test_the_user_data_is_a_secret(recorder: Recorder) -> None:
    secrets: list[bool] = []
    original = pulumi.Output.secret

    def watch(value: Any) -> Any:
        secrets.append(value == USER_DATA)
        return original(value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi.Output, "secret", staticmethod(watch))
        _build()
    assert any(secrets)


@pytest.mark.parametrize("protect", [True, False])
def test_what_holds_data_is_protected_at_the_cloud(recorder: Recorder, protect: bool) -> None:
    _build(protect=protect)
    for kind in ("Volume", "PrimaryIp"):
        (row,) = recorder.seen[kind]
        assert row["deleteProtection"] is protect


def test_a_key_that_the_project_has_already_is_used_not_made_again(recorder: Recorder) -> None:
    _build(known={"ssh-ed25519 AAAAone": 7})
    (made,) = recorder.seen["SshKey"]
    assert made["publicKey"] == KEYS[1]
    assert "7" in recorder.seen["Server"][0]["sshKeys"]


def test_the_buckets_policy() -> None:
    rows = {row["Sid"]: row for row in policy("b", "node", ["n-1"])["Statement"]}
    assert all(row["Principal"] == {"AWS": ["node"]} for row in rows.values())
    assert "arn:aws:s3:::b/desired/n-1" in rows["read"]["Resource"]
    assert rows["write"]["Resource"] == ["arn:aws:s3:::b/status/n-1", "arn:aws:s3:::b/backups/*"]
    assert (rows["keepversions"]["Effect"], rows["keepversions"]["Action"][0]) == ("Deny", "s3:DeleteObjectVersion")
    assert rows["keepreleases"]["Effect"] == "Deny"
    assert {"s3:PutBucketPolicy", "s3:PutLifecycleConfiguration"} < set(rows["keepbucket"]["Action"])
    assert {"arn:aws:s3:::b/generations/*", "arn:aws:s3:::b/owner.json"} < set(rows["keepreleases"]["Resource"])
    assert not any("*" in action for row in rows.values() for action in row["Action"])
