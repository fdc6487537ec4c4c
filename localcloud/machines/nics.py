"""Network interfaces of servers: the public one on the router's bridge, private ones in a network's namespace.

A private network is a namespace of its own with the gateway's address on a veth to each member, so networks can't
see each other even if their ranges are the same, and members can only talk through the gateway, as on Hetzner.
Addresses are set from outside, for a running machine gets its interface without doing anything.
"""

from __future__ import annotations

import json
from pathlib import Path

from localcloud import catalog
from localcloud.backend import BackendError, LoadBalancerSpec, Nic, ServerSpec
from localcloud.machines import addresses as a
from localcloud.machines import netns
from localcloud.machines.router import MTU_PRIVATE, ipv6_there, public_mtu
from localcloud.machines.sh import run, write

PRIVATE_NAMES = ("enp7s0", "enp8s0", "enp9s0")  # names and number as on Hetzner


def public_up(spec: ServerSpec | LoadBalancerSpec) -> None:
    """The server's namespace and its eth0, wired to the bridge; repeating it changes nothing."""
    ns, veth = a.server_ns(spec.id), a.server_veth(spec.id)
    netns.add(ns)
    if not (spec.ipv4 or spec.ipv6_net):
        run("ip", "-n", a.ROUTER_NS, "link", "del", veth, check=False)
        return
    if not netns.link_exists(a.ROUTER_NS, veth):
        mtu = public_mtu()
        netns.batch(a.ROUTER_NS, [
            f"link add {veth} type veth peer name eth0 address {spec.mac} netns {ns}",
            f"link set {veth} master {a.BRIDGE} mtu {mtu} up",
            f"link set {veth} type bridge_slave isolated on",
        ])  # fmt: skip
        # Up before the machine is: cloud-init looks for the datasource on an interface with carrier, and must not
        # find a private one alone.
        netns.ip(ns, "link", "set", "eth0", "mtu", str(mtu), "up")
        if ipv6_there():  # addresses come from cloud-init; without detection of duplicates they work at once
            netns.sysctl(ns, {"net/ipv6/conf/eth0/accept_dad": "0", "net/ipv6/conf/eth0/accept_ra": "0"})
    if spec.ipv6_net and ipv6_there():
        netns.ip(a.ROUTER_NS, "-6", "route", "replace", spec.ipv6_net, "dev", a.BRIDGE)


def carrier(server_id: int, state: str) -> list[str]:
    """The command that makes the public interface's line `state`: "up", or "down" as with a machine that is off. Its
    namespace outlives the machine, and the kernel would answer in its place."""
    return ["ip", "-n", a.ROUTER_NS, "link", "set", a.server_veth(server_id), state]


def public_down(spec: ServerSpec | LoadBalancerSpec) -> None:
    """Remove the server's namespace with all its interfaces."""
    if spec.ipv6_net:
        run("ip", "-n", a.ROUTER_NS, "-6", "route", "del", spec.ipv6_net, "dev", a.BRIDGE, check=False)
    run("ip", "-n", a.ROUTER_NS, "link", "del", a.server_veth(spec.id), check=False)
    for nic in spec.nics:
        detach(spec.id, nic.network_id)
    netns.delete(a.server_ns(spec.id))


def interface_of(server_id: int, network_id: int) -> str | None:
    """Name of the server's interface in a network, as seen inside the server."""
    links = netns.query("-n", a.server_ns(server_id), "-d", "link", "show")
    found = [link["ifname"] for link in links if link.get("ifalias") == f"net-{network_id}"]
    return str(found[0]) if found else None


def attach(server_id: int, nic: Nic) -> None:
    """Plug an interface into the server's namespace and give it its address; repeating it sets the address anew."""
    ns, net, veth = a.server_ns(server_id), a.network_ns(nic.network_id), a.server_veth(server_id)
    name = interface_of(server_id, nic.network_id)
    if name is None:
        taken = {link["ifname"] for link in netns.query("-n", ns, "link", "show")}
        free = [n for n in PRIVATE_NAMES if n not in taken]
        if not free:
            raise BackendError("a server can be in three networks at most")
        name = free[0]
        run("ip", "-n", net, "link", "del", veth, check=False)
        netns.ip(net, "link", "add", veth, "type", "veth", "peer", "name", name, "address", nic.mac, "netns", ns)
    netns.batch(net, [
        f"link set {veth} mtu {MTU_PRIVATE} up",
        f"addr replace {nic.gateway}/32 dev {veth}",
        f"route replace {nic.ip}/32 dev {veth}",
    ])  # fmt: skip
    netns.batch(ns, [
        f"link set {name} alias net-{nic.network_id}",
        f"link set {name} mtu {MTU_PRIVATE} up",
        f"addr replace {nic.ip}/32 dev {name}",
        f"route replace {nic.gateway}/32 dev {name} scope link",
        f"route replace {nic.ip_range} via {nic.gateway} dev {name} src {nic.ip}",
    ])  # fmt: skip


def detach(server_id: int, network_id: int) -> None:
    """Pull the interface; its other end goes with it."""
    ns = a.network_ns(network_id)
    if netns.exists(ns):
        run("ip", "-n", ns, "link", "del", a.server_veth(server_id), check=False)


def metadata(spec: ServerSpec, region: str) -> dict[str, object]:
    """What the metadata service serves from, as JSON."""
    return {
        "id": spec.id, "name": spec.name, "ipv4": spec.ipv4, "ipv6_net": spec.ipv6_net, "mac": spec.mac,
        "location": spec.location, "region": region, "public_keys": [key.strip() for key in spec.ssh_public_keys],
        "nics": [vars(nic) for nic in spec.nics],
    }  # fmt: skip


def save_metadata(folder: Path, spec: ServerSpec) -> None:
    """Write metadata.json and user-data, for root only: user-data may hold secrets."""
    zones = {str(row["name"]): str(row["network_zone"]) for row in catalog.locations()}
    write(folder / "user-data", spec.user_data, 0o600)
    write(folder / "metadata.json", json.dumps(metadata(spec, zones[spec.location])), 0o600)
