"""The packet filter of the router namespace: what machines may reach, and each server's Hetzner-like firewall.

Pure functions that render nft scripts, and two that load them (one transaction each, so a change is all or nothing
and established connections live on).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from localcloud.backend import Rule
from localcloud.machines import addresses as a
from localcloud.machines import netns
from localcloud.machines.sh import run

TABLE = f"inet {a.FIREWALL_TABLE}"


def base_ruleset() -> str:
    """The fixed part: an nft script that makes the table if it is missing and sets every fixed chain anew.

    Outbound from machines: DNS only through our resolver, TCP 80 and 443 to the outside, nothing else; the rest is
    refused (not dropped), so that programs in the machines fail fast instead of hanging.
    """
    return f"""
add table {TABLE}
add map {TABLE} in4 {{ type ipv4_addr : verdict; flags interval; }}
add map {TABLE} out4 {{ type ipv4_addr : verdict; flags interval; }}
add map {TABLE} in6 {{ type ipv6_addr : verdict; flags interval; }}
add map {TABLE} out6 {{ type ipv6_addr : verdict; flags interval; }}
add chain {TABLE} egress
add chain {TABLE} input {{ type filter hook input priority 0; policy accept; }}
add chain {TABLE} output {{ type filter hook output priority 0; policy accept; }}
add chain {TABLE} forward {{ type filter hook forward priority 0; policy drop; }}
flush chain {TABLE} egress
flush chain {TABLE} input
flush chain {TABLE} output
flush chain {TABLE} forward
table {TABLE} {{
  chain egress {{
    ip daddr {a.UPLINK_NET} reject with icmpx admin-prohibited
    meta nfproto ipv4 tcp dport {{ 80, 443 }} accept
    reject with icmpx admin-prohibited
  }}
  chain input {{
    ct state established,related accept
    iifname != "{a.BRIDGE}" accept
    meta l4proto {{ icmp, ipv6-icmp }} accept
    udp dport {{ 53, 67 }} accept
    ip daddr {{ {a.GATEWAY}, {a.METADATA} }} tcp dport {{ 53, 80 }} accept
    ip saddr vmap @out4
    ip daddr {a.OBJECTS_IP} tcp dport {{ {a.OBJECTS_PORT}, {a.OUTAGE_PORT} }} accept
    reject with icmpx admin-prohibited
  }}
  chain output {{
    icmpv6 type nd-redirect drop comment "machines must not try each other directly; IPv4 has a setting for it"
  }}
  chain forward {{
    ct state established,related accept
    ct state invalid drop
    iifname "{a.BRIDGE}" ip saddr vmap @out4
    iifname "{a.BRIDGE}" ip6 saddr vmap @out6
    iifname "{a.BRIDGE}" oifname "{a.UPLINK_PEER}" goto egress
    oifname "{a.BRIDGE}" ip daddr vmap @in4
    oifname "{a.BRIDGE}" ip6 daddr vmap @in6
    oifname "{a.BRIDGE}" accept
  }}
}}
"""


def _matches(rule: Rule) -> list[str]:
    """A rule as nft match expressions, one per address family."""
    cidrs = rule.source_ips if rule.direction == "in" else rule.destination_ips
    field = "saddr" if rule.direction == "in" else "daddr"
    v4 = [n for n in map(ipaddress.ip_network, cidrs) if n.version == 4]
    v6 = [n for n in map(ipaddress.ip_network, cidrs) if n.version == 6]
    protocols = {"icmp": ("meta l4proto icmp", "meta l4proto ipv6-icmp"), "gre": ("meta l4proto gre",) * 2}
    proto4, proto6 = protocols.get(rule.protocol, (f"meta l4proto {rule.protocol}",) * 2)
    port = f" th dport {rule.port}" if rule.protocol in ("tcp", "udp") and rule.port not in (None, "any") else ""
    found = []
    if v4:
        nets = ipaddress.collapse_addresses(n for n in v4 if isinstance(n, ipaddress.IPv4Network))
        found.append(f"{_addresses('ip', field, list(nets))} {proto4}{port}")
    if v6:
        nets6 = ipaddress.collapse_addresses(n for n in v6 if isinstance(n, ipaddress.IPv6Network))
        found.append(f"{_addresses('ip6', field, list(nets6))} {proto6}{port}")
    return found


def _addresses(family: str, field: str, nets: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    listed = list(nets)
    if any(n.prefixlen == 0 for n in listed):
        return f"meta nfproto {'ipv4' if family == 'ip' else 'ipv6'}"
    return f"{family} {field} {{ {', '.join(map(str, listed))} }}"


def server_chains(server_id: int, rules: tuple[Rule, ...] | None) -> str:
    """nft script that sets a server's two chains.

    As on Hetzner: None = no firewall, open both ways; else only what an `in` rule allows comes in, and everything goes
    out unless there is an `out` rule, which makes an allow-list. Both chains `return` (not accept) what they allow out,
    for the caller's own limits come after.
    """
    incoming, outgoing = f"s{server_id}_in", f"s{server_id}_out"
    lines = [f"add chain {TABLE} {c}" for c in (incoming, outgoing)]
    lines += [f"flush chain {TABLE} {c}" for c in (incoming, outgoing)]
    if rules is not None:
        for rule in rules:
            chain, verdict = (incoming, "accept") if rule.direction == "in" else (outgoing, "return")
            lines += [f"add rule {TABLE} {chain} {match} {verdict}" for match in _matches(rule)]
        lines.append(f"add rule {TABLE} {incoming} drop")
        if any(rule.direction == "out" for rule in rules):
            lines.append(f"add rule {TABLE} {outgoing} drop")
    return "\n".join(lines) + "\n"


def _elements(server_id: int, ipv4: str | None, ipv6_net: str | None) -> list[tuple[str, str, str]]:
    """(map, key, verdict) of a server's addresses."""
    found = []
    for address, suffix in ((ipv4, "4"), (ipv6_net, "6")):
        if address:
            found.append((f"in{suffix}", address, f"jump s{server_id}_in"))
            found.append((f"out{suffix}", address, f"jump s{server_id}_out"))
    return found


def load_base() -> None:
    """Set the fixed part in the router namespace."""
    run(*netns.inside(a.ROUTER_NS), "nft", "-f", "-", stdin=base_ruleset())


def set_server(server_id: int, ipv4: str | None, ipv6_net: str | None, rules: tuple[Rule, ...] | None) -> None:
    """Set a server's firewall, in place."""
    script = server_chains(server_id, rules)
    for name, key, verdict in _elements(server_id, ipv4, ipv6_net):
        script += f"add element {TABLE} {name} {{ {key} : {verdict} }}\n"
    run(*netns.inside(a.ROUTER_NS), "nft", "-f", "-", stdin=script)


def remove_server(server_id: int, ipv4: str | None, ipv6_net: str | None) -> None:
    """Take away a server's chains and its addresses."""
    for name, key, verdict in _elements(server_id, ipv4, ipv6_net):
        run(*netns.inside(a.ROUTER_NS), "nft", f"delete element {TABLE} {name} {{ {key} : {verdict} }}", check=False)
    for chain in (f"s{server_id}_in", f"s{server_id}_out"):
        run(*netns.inside(a.ROUTER_NS), "nft", f"delete chain {TABLE} {chain}", check=False)


def add_address(server_id: int, address: str) -> None:
    """Let a server's two chains hold for another address of it too."""
    v6 = ":" in address
    script = "".join(
        f"add element {TABLE} {name} {{ {key} : {verdict} }}\n"
        for name, key, verdict in _elements(server_id, None if v6 else address, address if v6 else None)
    )
    run(*netns.inside(a.ROUTER_NS), "nft", "-f", "-", stdin=script)


def remove_address(address: str) -> None:
    """Take an address away from whichever server's chains hold for it."""
    for name in ("in6", "out6") if ":" in address else ("in4", "out4"):
        run(*netns.inside(a.ROUTER_NS), "nft", f"delete element {TABLE} {name} {{ {address} }}", check=False)
