"""The local cloud's address plan and names on the host (docs/localcloud.md shows the picture)."""

from __future__ import annotations

PUBLIC_NET = "198.51.100.0/24"  # TEST-NET-2 of RFC 5737: nobody's real addresses
OBJECTS_IP = "198.51.100.2"
OBJECTS_PORT = 9000
OUTAGE_PORT = 9009  # of localcloud.object_outage, where the object store's port leads during an outage
GATEWAY = "172.31.1.1"  # as on Hetzner
GATEWAY6 = "fe80::1"
GATEWAY_MAC = (
    "d2:5e:6b:68:a0:01"  # fixed: a bridge takes another one whenever its ports change, and machines keep the old
)
METADATA = "169.254.169.254"
UPLINK_NET = "100.64.0.0/30"
UPLINK_HOST = "100.64.0.1"
UPLINK_ROUTER = "100.64.0.2"
UPLINK6_HOST = "fd5e:6b68:a000::1"
UPLINK6_ROUTER = "fd5e:6b68:a000::2"

ROUTER_NS = "slc"
BRIDGE = "slcpub"
UPLINK = "slcup"  # host end
UPLINK_PEER = "slcup0"  # router end
NAT_TABLE = "slc_nat"
FIREWALL_TABLE = "slc_fw"
FAULT_TABLE = "slc_fault"


def server_ns(server_id: int) -> str:
    return f"slc-{server_id}"


def network_ns(network_id: int) -> str:
    return f"slc-n{network_id}"


def server_veth(server_id: int) -> str:
    """Router end of a server's public interface (at most 15 characters up to ids of 12 digits)."""
    return f"slc{server_id}"
