"""Which addresses objects get: pure functions over what is in use. Ranges are documentation ranges (RFC 5737, 3849)."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable

PUBLIC_IPV4 = [f"198.51.100.{host}" for host in range(10, 251)]
PUBLIC_IPV6 = ipaddress.IPv6Network("2001:db8:5ec::/48")
RESERVED_PRIVATE = ipaddress.IPv4Address("172.31.1.1")  # the public gateway of every server


def free_ipv4(used: Iterable[str]) -> str | None:
    """The lowest public IPv4 address that is not used; None if there is none."""
    taken = set(used)
    return next((ip for ip in PUBLIC_IPV4 if ip not in taken), None)


def free_ipv6(used: Iterable[str]) -> str | None:
    """The lowest free /64, in network form ("2001:db8:5ec:1::/64"); None if there is none."""
    taken = set(used)
    return next((net for net in map(_ipv6_net, range(1, 2**16)) if net not in taken), None)


@functools.cache
def _ipv6_net(number: int) -> str:
    first = int(PUBLIC_IPV6.network_address) >> 64
    return str(ipaddress.IPv6Network(((first + number) << 64, 64)))


def mac(prefix: str, number: int) -> str:
    """A stable unique MAC: prefix "96:00" (public) or "86:00:00" (private) and the number."""
    width = 6 - len(prefix.split(":"))
    return ":".join([prefix, *(f"{(number >> 8 * (width - 1 - i)) & 255:02x}" for i in range(width))])


def gateway(ip_range: str) -> str:
    """A private network's gateway: the first address of the whole network, for all its subnets."""
    return str(ipaddress.IPv4Network(ip_range)[1])


def assignable(ip: str, network_range: str, subnets: Iterable[str]) -> bool:
    """True if a server may have this address: in a subnet, and neither reserved nor a network or broadcast address."""
    address = ipaddress.IPv4Address(ip)
    for text in subnets:
        subnet = ipaddress.IPv4Network(text)
        if address in subnet:
            reserved = {RESERVED_PRIVATE, ipaddress.IPv4Network(network_range)[1], subnet[0], subnet[-1]}
            return address not in reserved
    return False


def free_private(network_range: str, subnet: str, used: Iterable[str]) -> str | None:
    """The lowest free address of a subnet; None if it is full."""
    taken = set(used)
    hosts = (str(ip) for ip in ipaddress.IPv4Network(subnet))
    return next((ip for ip in hosts if ip not in taken and assignable(ip, network_range, [subnet])), None)


def free_subnet(network_range: str, subnets: Iterable[str]) -> str | None:
    """The first /24 of the network (or all of a smaller one) that overlaps no subnet; None if there is none."""
    net, others = ipaddress.IPv4Network(network_range), [ipaddress.IPv4Network(text) for text in subnets]
    candidates = net.subnets(new_prefix=max(24, net.prefixlen))
    return next((str(c) for c in candidates if not any(c.overlaps(other) for other in others)), None)


def in_range(ip: str, net: str) -> bool:
    """True if the address is in the range. Raises ValueError if either is malformed."""
    return ipaddress.ip_address(ip) in ipaddress.ip_network(net)
