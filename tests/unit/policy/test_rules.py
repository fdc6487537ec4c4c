"""The policy pack's rules on resources of every cloud; with the real engine: tests/cloud/test_stack_program.py."""

from __future__ import annotations

from typing import Any

import pytest

from policy import rules
from policy.rules import Registered

REAL, LOCAL = "https://api.hetzner.cloud/v1", "http://127.0.0.1:8580/v1"
VOLUME, SERVER = "hcloud:index/volume:Volume", "hcloud:index/server:Server"
KEPT = Registered(VOLUME, "data", {"size": 10, "deleteProtection": True}, True)
MACHINE = Registered(SERVER, "one", {"serverType": "cx23", "location": "fsn1"}, False)


def hetzner(port: str, source: str) -> dict[str, Any]:
    return {"rules": [{"direction": "in", "protocol": "tcp", "port": port, "sourceIps": [source]}]}


@pytest.mark.parametrize(
    ("type_", "inputs", "found"),
    [
        ("hcloud:index/firewall:Firewall", hetzner("443", "0.0.0.0/0"), 0),
        ("hcloud:index/firewall:Firewall", hetzner("22", "203.0.113.7/32"), 0),
        ("hcloud:index/firewall:Firewall", hetzner("22", "::/0"), 1),
        ("hcloud:index/firewall:Firewall", hetzner("8000", "10.0.0.0/16"), 1),
        ("digitalocean:index/firewall:Firewall",
         {"inboundRules": [{"protocol": "tcp", "portRange": "22", "sourceAddresses": ["0.0.0.0/0", "::/0"]}]}, 2),
        ("digitalocean:index/firewall:Firewall",
         {"inboundRules": [{"protocol": "icmp", "sourceAddresses": ["::/0"]}]}, 0),
        ("aws:ec2/securityGroup:SecurityGroup",
         {"ingress": [{"protocol": "-1", "fromPort": 0.0, "toPort": 0.0, "cidrBlocks": ["10.0.0.0/8"]}]}, 1),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
         {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIpv4": "0.0.0.0/0"}, 0),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
         {"ipProtocol": "tcp", "fromPort": 1, "toPort": 65535, "cidrIpv6": "::/0"}, 1),
    ],
)  # fmt: skip
def test_what_is_open(type_: str, inputs: dict[str, Any], found: int) -> None:
    assert len(list(rules.exposed(Registered(type_, "f", inputs, False)))) == found


def test_what_holds_data_is_protected_but_on_the_local_cloud() -> None:
    bare = Registered(VOLUME, "data", {"size": 10, "deleteProtection": False}, False)
    assert len(list(rules.unprotected(bare, REAL))) == 2
    assert len(list(rules.unprotected(bare, ""))) == 2
    assert list(rules.unprotected(bare, LOCAL)) == []
    assert list(rules.unprotected(KEPT, REAL)) == []
    assert list(rules.unprotected(MACHINE, REAL)) == []


@pytest.mark.parametrize(("encrypted", "found"), [({}, 1), ({"encrypted": False}, 1), ({"encrypted": True}, 0)])
def test_a_disk_whose_encryption_is_a_choice_is_encrypted(encrypted: dict[str, Any], found: int) -> None:
    assert len(list(rules.unencrypted(Registered("aws:ebs/volume:Volume", "d", encrypted, True)))) == found


def test_the_budget_counts_all_resources() -> None:
    assert list(rules.too_dear([MACHINE, KEPT], 0)) == []
    assert list(rules.too_dear([MACHINE, KEPT], 5)) == []  # 3.99 + 0.57
    assert list(rules.too_dear([MACHINE, KEPT], 4)) == [
        "the stack's resources cost 4.56 EUR a month, and sekha:monthlyBudget allows 4"
    ]


def test_a_machine_has_a_volume() -> None:
    assert len(list(rules.without_data([MACHINE]))) == 1
    assert list(rules.without_data([MACHINE, KEPT])) == []
    assert list(rules.without_data([])) == []
    assert list(rules.findings([MACHINE, KEPT], REAL)) == []
    assert len(list(rules.findings([Registered(VOLUME, "data", {}, False)], REAL))) == 1
