"""What only DigitalOcean has: a tag that carries the firewall, a key of the machine's, checks, a project."""

from __future__ import annotations

import pytest

from tests.unit.infra import golden, mocked
from tests.unit.infra.mocked import Result


@pytest.fixture(scope="module")
def built() -> Result:
    return mocked.build("digitalocean", **golden.EVERYTHING)


def test_a_droplet_is_never_without_its_firewall(built: Result) -> None:
    droplet, firewall = built.one("Droplet"), built.one("Firewall")
    assert firewall.inputs["tags"] == droplet.inputs["tags"] == ["sekha-stack:test"]
    assert any("Firewall" in urn for urn in droplet.request.dependencies)
    assert {rule["protocol"] for rule in firewall.inputs["outboundRules"]} == {"tcp", "udp", "icmp"}


def test_the_droplet_obeys_the_plan(built: Result) -> None:
    row = built.one("Droplet").inputs
    assert (row["size"], row["region"], row["image"]) == ("s-2vcpu-4gb", "fra1", "debian-13-x64")
    assert row["gracefulShutdown"] is True
    assert row["resizeDisk"] is False
    assert len(row["volumeIds"]) == 1
    assert built.one("ReservedIp").inputs["dropletId"] > 0  # by its own argument: moves without anything being deleted
    assert built.outputs["data_device"] == "/dev/disk/by-id/scsi-0DO_Volume_sekha-test-data"


def test_the_bucket_is_private_versioned_and_the_nodes_key_is_for_it_alone(built: Result) -> None:
    bucket = built.one("SpacesBucket").inputs
    assert (bucket["acl"], bucket["versioning"], bucket["forceDestroy"]) == ("private", {"enabled": True}, False)
    (rule,) = bucket["lifecycleRules"]
    assert rule["noncurrentVersionExpiration"] == {"days": 90}
    assert built.one("SpacesKey").inputs["grants"] == [{"bucket": "sekha-test-do", "permission": "readwrite"}]


@pytest.mark.parametrize(
    ("domain", "kind", "target"),
    [("sekha.example.com", "https", "https://sekha.example.com/health"), ("", "ping", mocked.ADDRESS)],
)
def test_it_is_looked_at_from_outside(domain: str, kind: str, target: str) -> None:
    row = mocked.build("digitalocean", domain=domain).one("UptimeCheck").inputs
    assert (row["type"], row["target"]) == (kind, target)


def test_alerts_go_to_somebody_or_are_not_there(built: Result) -> None:
    (notice,) = built.one("UptimeAlert").inputs["notifications"]
    assert notice["emails"] == ["ops@example.com"]
    assert built.one("MonitorAlert").inputs["alerts"] == {"emails": ["ops@example.com"]}
    bare = mocked.build("digitalocean")
    assert not bare.of("UptimeAlert")
    assert not bare.of("MonitorAlert")


def test_the_record_is_the_domains(built: Result) -> None:
    row = built.one("DnsRecord").inputs
    assert (row["domain"], row["name"], row["type"], row["value"]) == ("example.com", "sekha", "A", mocked.ADDRESS)
    whole = mocked.build("digitalocean", domain="example.com", dnsZone="example.com").one("DnsRecord").inputs
    assert whole["name"] == "@"


def test_everything_that_a_project_can_hold_is_in_it(built: Result) -> None:
    assert built.one("Project").inputs["resources"] == [
        "do:droplet:1", "do:volume:1", "do:reservedip:1", "do:space:1",
    ]  # fmt: skip
