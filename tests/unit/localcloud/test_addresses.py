"""Which addresses are handed out."""

from __future__ import annotations

import pytest

from localcloud import addresses


def test_public_addresses_are_the_lowest_free_ones() -> None:
    assert addresses.free_ipv4([]) == "198.51.100.10"
    assert addresses.free_ipv4(["198.51.100.10", "198.51.100.12"]) == "198.51.100.11"
    assert addresses.free_ipv4(addresses.PUBLIC_IPV4) is None
    assert addresses.PUBLIC_IPV4[-1] == "198.51.100.250"
    assert addresses.free_ipv6([]) == "2001:db8:5ec:1::/64"
    assert addresses.free_ipv6(["2001:db8:5ec:1::/64"]) == "2001:db8:5ec:2::/64"


def test_macs_are_stable_and_well_formed() -> None:
    assert addresses.mac("96:00", 258) == "96:00:00:00:01:02"
    assert addresses.mac("86:00:00", 0x10203) == "86:00:00:01:02:03"


@pytest.mark.parametrize(
    ("ip", "good"),
    [
        ("10.0.1.1", True),
        ("10.0.1.254", True),
        ("10.0.1.0", False),  # the subnet's own address
        ("10.0.1.255", False),  # broadcast
        ("10.0.0.1", False),  # the network's gateway
        ("10.0.0.2", True),
        ("10.0.2.1", False),  # in no subnet
    ],
)
def test_reserved_private_addresses(ip: str, good: bool) -> None:
    assert addresses.assignable(ip, "10.0.0.0/16", ["10.0.0.0/24", "10.0.1.0/24"]) is good


def test_the_public_gateway_is_never_a_private_address() -> None:
    assert not addresses.assignable("172.31.1.1", "172.16.0.0/12", ["172.31.1.0/24"])


def test_private_addresses() -> None:
    assert addresses.free_private("10.0.0.0/16", "10.0.0.0/24", []) == "10.0.0.2"
    assert addresses.free_private("10.0.0.0/16", "10.0.1.0/24", ["10.0.1.1"]) == "10.0.1.2"
    assert addresses.free_private("10.0.0.0/16", "10.0.1.0/30", ["10.0.1.1", "10.0.1.2"]) is None
    assert addresses.free_subnet("10.0.0.0/16", ["10.0.0.0/24", "10.0.2.0/24"]) == "10.0.1.0/24"
    assert addresses.free_subnet("10.0.0.0/24", ["10.0.0.0/25"]) is None
