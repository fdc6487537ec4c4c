"""Hetzner's firewall semantics as nft scripts (tests/cloud shows them acting)."""

from __future__ import annotations

import pytest

from localcloud.backend import Rule
from localcloud.machines.firewall import server_chains

ANY = ("0.0.0.0/0", "::/0")


def lines(rules: tuple[Rule, ...] | None, chain: str) -> list[str]:
    prefix = f"add rule inet slc_fw s5_{chain} "
    return [line.removeprefix(prefix) for line in server_chains(5, rules).splitlines() if line.startswith(prefix)]


def test_no_firewall_is_open() -> None:
    assert lines(None, "in") == lines(None, "out") == []


def test_an_empty_firewall_lets_nothing_in_and_everything_out() -> None:
    assert lines((), "in") == ["drop"]
    assert lines((), "out") == []


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("in", "tcp", "22", ("10.0.0.0/8",), ()), ["ip saddr { 10.0.0.0/8 } meta l4proto tcp th dport 22 accept"]),
        (Rule("in", "udp", "8000-8100", ("::/0",), ()), ["meta nfproto ipv6 meta l4proto udp th dport 8000-8100 accept"]),  # noqa: E501
        (Rule("in", "icmp", None, ANY, ()), ["meta nfproto ipv4 meta l4proto icmp accept", "meta nfproto ipv6 meta l4proto ipv6-icmp accept"]),  # noqa: E501
        (Rule("in", "esp", None, ("192.0.2.1/32",), ()), ["ip saddr { 192.0.2.1/32 } meta l4proto esp accept"]),
        (Rule("in", "tcp", "1", ("10.0.0.0/8", "10.1.0.0/16"), ()), ["ip saddr { 10.0.0.0/8 } meta l4proto tcp th dport 1 accept"]),  # noqa: E501
    ],
)  # fmt: skip
def test_in_rules(rule: Rule, expected: list[str]) -> None:
    assert lines((rule,), "in") == [*expected, "drop"]


def test_any_out_rule_makes_an_allow_list() -> None:
    rule = Rule("out", "tcp", "443", (), ("0.0.0.0/0",))
    assert lines((rule,), "out") == ["meta nfproto ipv4 meta l4proto tcp th dport 443 return", "drop"]
    assert lines((rule,), "in") == ["drop"]


def test_the_chains_are_emptied_in_the_same_transaction() -> None:
    script = server_chains(5, ())
    assert script.index("flush chain inet slc_fw s5_in") < script.index("add rule")
