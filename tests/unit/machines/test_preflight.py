"""Each reason not to start names what, value and remedy."""

from __future__ import annotations

import dataclasses

import pytest

from localcloud.preflight import Facts, iptables_forward_drops, nft_forward_drops, problems

GOOD = Facts(
    uid=0, addresses=(("eth0", "192.0.2.2/24"), ("ec2", "172.31.5.5/16")), routes=(("eth0", "192.0.2.0/24"), ("vpn", "0.0.0.0/1"), ("ts", "100.64.0.0/10")),  # noqa: E501
    missing_kernel=(), forward_drops=(), port=8580, port_taken=False, free_gb=50.0, cache="/c", default_route=True,
    nameservers=("192.0.2.53",), other_cloud=None,
)  # fmt: skip


def test_a_good_host_has_no_problems() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"uid": 1000}, ["not root", "1000", "sudo"]),
        ({"addresses": (("lan0", "198.51.100.7/28"),)}, ["198.51.100.7/28", "lan0", "ip addr del"]),
        ({"addresses": (("lan0", "172.31.1.1/24"),)}, ["172.31.1.1/24", "ip addr del"]),
        ({"routes": (("lan0", "100.64.0.0/30"),)}, ["100.64.0.0/30", "ip route del"]),
        ({"routes": (("lan0", "198.51.100.128/25"),)}, ["198.51.100.128/25", "ip route del"]),
        ({"missing_kernel": ("overlayfs",)}, ["overlayfs", "module"]),
        ({"forward_drops": ("iptables: FORWARD",)}, ["iptables: FORWARD", "iptables -I FORWARD -i slcup -j ACCEPT"]),
        ({"forward_drops": ("nft: inet fw fwd",)}, ["nft insert rule inet fw fwd iifname slcup accept"]),
        ({"port_taken": True}, ["8580", "LOCALCLOUD_PORT"]),
        ({"free_gb": 1.25}, ["1.2 GB", "/c", "SEKHA_CACHE"]),
        ({"default_route": False}, ["default route", "ip route add"]),
        ({"nameservers": ()}, ["resolv.conf", "nameserver"]),
        ({"other_cloud": "/other/cloud"}, ["another local cloud", "/other/cloud", "down"]),
    ],
)
def test_each_problem_names_value_and_remedy(change: dict[str, object], words: list[str]) -> None:
    found = problems(dataclasses.replace(GOOD, **change))  # type: ignore[arg-type]
    assert len(found) == 1
    for word in words:
        assert word in found[0]


NFT = """table inet fw {
	chain fwd {
		type filter hook forward priority filter; policy %s;
		%s
	}
	chain input {
		type filter hook input priority filter; policy drop;
	}
}
"""
PASS = 'iifname "slcup" counter packets 0 bytes 0 accept\n\t\toifname "slcup" accept'


@pytest.mark.parametrize(
    ("policy", "rules", "found"),
    [("drop", "", ["nft: inet fw fwd"]), ("accept", "", []), ("drop", PASS, []), ("drop", PASS[:40], ["nft: inet fw fwd"])],  # noqa: E501
)  # fmt: skip
def test_nft_forward_policy(policy: str, rules: str, found: list[str]) -> None:
    assert nft_forward_drops(NFT % (policy, rules)) == found


def test_iptables_forward_policy() -> None:
    drops = "-P INPUT ACCEPT\n-P FORWARD DROP\n"
    passes = "-A FORWARD -i slcup -j ACCEPT\n-A FORWARD -o slcup -j ACCEPT\n"
    assert iptables_forward_drops(drops) == ["iptables: FORWARD"]
    assert iptables_forward_drops(drops + passes) == []
    assert iptables_forward_drops("-P FORWARD ACCEPT\n") == []
