"""The packet filters behind faults: partitions between machines, and an object store that can't be reached.

Pure functions that render nft scripts. They go before the firewalls and hold for established connections too.
"""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.machines import addresses as a

TABLE = f"inet {a.FAULT_TABLE}"
Ends = tuple[frozenset[int], frozenset[int] | None]  # machines, and the others they are cut from (None: everybody)


def script(rules: Iterable[str], chains: str = "") -> str:
    """An nft script that makes the table hold these forward rules and `chains`, or removes it if there are none."""
    lines = list(rules)
    text = f"add table {TABLE}\ndelete table {TABLE}\n"
    if not lines and not chains:
        return text
    body = "\n".join(f"    {line}" for line in lines)
    return f"""{text}table {TABLE} {{
  chain forward {{
    type filter hook forward priority -10; policy accept;
{body}
  }}
{chains}}}
"""


def in_network(partitions: Iterable[Ends]) -> list[str]:
    """Rules for a private network's gateway: there a machine is its interface."""
    rules = []
    for machines, others in partitions:
        ours = _names(machines)
        theirs = f"!= {ours}" if others is None else _names(others)
        if others is None or others:
            rules += [f"iifname {ours} oifname {theirs} drop", f"iifname {theirs} oifname {ours} drop"]
    return rules


def in_router(partitions: Iterable[Ends], addresses: dict[int, list[str]]) -> list[str]:
    """Rules for the public network: there a machine is its addresses (IPv4, and IPv6 networks)."""
    rules = []
    between = f'iifname "{a.BRIDGE}" oifname "{a.BRIDGE}"'
    for machines, others in partitions:
        for family in ("ip", "ip6"):
            ours = _set(machines, addresses, family)
            theirs = None if others is None else _set(others, addresses, family)
            if not ours or theirs == "":
                continue
            there = f" {family} daddr {theirs}" if theirs else ""
            back = f"{family} saddr {theirs} " if theirs else ""
            rules.append(f"{between} {family} saddr {ours}{there} drop")
            rules.append(f"{between} {back}{family} daddr {ours} drop")
    return rules


def _names(machines: Iterable[int]) -> str:
    return f"{{ {', '.join(a.server_veth(number) for number in sorted(machines))} }}"


def _set(machines: Iterable[int], addresses: dict[int, list[str]], family: str) -> str:
    found = [
        text for number in sorted(machines) for text in addresses.get(number, ()) if (":" in text) == (family == "ip6")
    ]
    return f"{{ {', '.join(found)} }}" if found else ""


def object_store(state: str) -> str:
    """Chains that close the object store's port ("refused"), lead it to localcloud.object_outage ("proxied"), or none.

    Either way connections from before are reset.
    """
    if not state:
        return ""
    reset = f"""  chain input {{
    type filter hook input priority -10; policy accept;
    iifname != "lo" ip daddr {a.OBJECTS_IP} tcp dport {a.OBJECTS_PORT} reject with tcp reset
  }}
"""
    if state == "refused":
        return reset
    return f"""{reset}  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    iifname != "lo" ip daddr {a.OBJECTS_IP} tcp dport {a.OBJECTS_PORT} dnat ip to {a.OBJECTS_IP}:{a.OUTAGE_PORT}
  }}
"""
