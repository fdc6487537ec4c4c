"""The cases of `make proof-firewall`: firewalls before the machine `web`, and what gets through under each.

What is expected is written down here by hand from Hetzner's documentation, not computed from the rules: stateful; the
public interface alone; no `in` rule lets nothing in; no `out` rule lets everything out, one makes an allow-list;
several firewalls are a union; without a firewall everything is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OUT, PRIVATE = "out:", "private"
SOURCES = ("outside", "peer", "other", "out:peer", "out:other")  # out: from `web` to that machine
PACKETS: list[tuple[str, str, int | None]] = [
    ("tcp 2222", "tcp", 2222), ("tcp 8080", "tcp", 8080), ("tcp 8081", "tcp", 8081), ("tcp 8082", "tcp", 8082),
    ("udp 5000", "udp", 5000), ("udp 5001", "udp", 5001), ("ping", "ping", None),
]  # fmt: skip
# Without ports every packet between two machines belongs to one connection: once let through, it stays open.
PORTLESS: list[tuple[str, str, int | None]] = [("gre", "gre", None), ("esp", "esp", None)]
NAMES = frozenset(name for name, _, _ in PACKETS)
ANY = ["0.0.0.0/0", "::/0"]
Rule = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """Firewalls (the first as `rules`), and what gets in: packet names, from everywhere or by source and family.

    `inward` maps "SOURCE" or "SOURCE FAMILY" or "FAMILY" to packets ("" for all others); `outward` the same by target.
    """

    name: str
    rules: tuple[Rule, ...] | None
    inward: Any = frozenset()
    outward: Any = NAMES
    more: tuple[tuple[Rule, ...], ...] = ()
    selector: bool = False
    portless: bool = False  # GRE and ESP instead, only inward

    @property
    def packets(self) -> list[tuple[str, str, int | None]]:
        return PORTLESS if self.portless else PACKETS

    @property
    def sources(self) -> tuple[str, ...]:
        return SOURCES[:3] if self.portless else SOURCES

    @property
    def firewalls(self) -> list[tuple[Rule, ...]]:
        return [] if self.rules is None else [self.rules, *self.more]


def _in(protocol: str, port: str | None = None, ips: list[str] = ANY) -> Rule:
    return {"d": "in", "p": protocol, "ips": ips, **({"port": port} if port else {})}


def _out(protocol: str, port: str | None = None, ips: list[str] = ANY) -> Rule:
    return {**_in(protocol, port, ips), "d": "out"}


def _set(*names: str) -> frozenset[str]:
    return frozenset(names)


TCP = _set("tcp 2222", "tcp 8080", "tcp 8081", "tcp 8082")
CASES = [
    Case("none", None, NAMES),
    Case("no rules", ()),
    Case("tcp 2222", (_in("tcp", "2222"),), _set("tcp 2222")),
    Case("tcp 2222, IPv4 only", (_in("tcp", "2222", ["0.0.0.0/0"]),), {"IPv4": _set("tcp 2222")}),
    Case("tcp 2222, IPv6 only", (_in("tcp", "2222", ["::/0"]),), {"IPv6": _set("tcp 2222")}),
    Case("tcp 8080-8081", (_in("tcp", "8080-8081"),), _set("tcp 8080", "tcp 8081")),
    Case("all tcp ports", (_in("tcp", "1-65535"),), TCP),
    Case("udp 5000", (_in("udp", "5000"),), _set("udp 5000")),
    Case("icmp", (_in("icmp"),), _set("ping")),
    Case("icmp, IPv6 only", (_in("icmp", None, ["::/0"]),), {"IPv6": _set("ping")}),
    Case(
        "tcp 8080 from peer", (_in("tcp", "8080", ["{peer4}/32", "{peer6}/128"]),), {"peer": _set("tcp 8080")},
    ),
    Case(
        "tcp 8080 from peer's /64 and other's IPv4",
        (_in("tcp", "8080", ["{peer6}/128"]), _in("tcp", "8080", ["{other4}/32"])),
        {"peer IPv6": _set("tcp 8080"), "other IPv4": _set("tcp 8080")},
    ),
    Case(
        "tcp from outside, overlapping ranges",
        (_in("tcp", "1-65535", ["100.64.0.0/30", "100.64.0.0/10", "fd00::/8", "fd5e::/16"]),), {"outside": TCP},
    ),
    Case(
        "two firewalls: union", (_in("tcp", "2222"),), _set("tcp 2222", "udp 5000", "ping"),
        more=((_in("udp", "5000"), _in("icmp")),),
    ),
    Case("two firewalls, one without rules", (), _set("tcp 2222"), more=((_in("tcp", "2222"),),)),
    Case("by label: udp 5001", (_in("udp", "5001"),), _set("udp 5001"), selector=True),
    Case("out: tcp 8080", (_out("tcp", "8080"),), outward=_set("tcp 8080")),
    Case(
        "out: tcp 8080-8082 to peer, in: icmp", (_out("tcp", "8080-8082", ["{peer4}/32", "{peer6}/128"]), _in("icmp")),
        _set("ping"), {"peer": _set("tcp 8080", "tcp 8081", "tcp 8082")},
    ),
    Case("out: icmp, IPv6 only", (_out("icmp", None, ["::/0"]),), outward={"IPv6": _set("ping")}),
    Case(
        "out: udp, a union of two firewalls", (_out("udp", "5000"),), _set("tcp 2222"), _set("udp 5000", "udp 5001"),
        more=((_out("udp", "5001"), _in("tcp", "2222")),),
    ),
]  # fmt: skip

CASES += [
    Case("no rules", (), portless=True),
    Case("gre", (_in("gre"),), _set("gre"), portless=True),
    Case("gre and esp", (_in("gre"), _in("esp")), _set("gre", "esp"), portless=True),
]


def expected(case: Case, source: str, family: str, packet: str) -> str:
    """Either "open" or "dropped"; a private network is never filtered."""
    if family == PRIVATE:
        return "open"
    wish = case.outward if source.startswith(OUT) else case.inward
    if isinstance(wish, dict):
        place = source.removeprefix(OUT)
        wish = next((wish[key] for key in (f"{place} {family}", place, family, "") if key in wish), frozenset())
    return "open" if packet in wish else "dropped"
