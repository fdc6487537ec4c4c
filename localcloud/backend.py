"""The seam between the API and the machines: what the API's action workers ask of the machine side.

The API process owns the state; a backend only makes machines, networks and volumes follow it. Calls block, come from
worker threads, and come one at a time per object. Every method is idempotent (a repeat after a crash is harmless)
and raises BackendError when the operation failed; that text becomes the failed action's message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class BackendError(Exception):
    """An operation on a machine, network or volume failed; the text is for the operator."""


class NotIssuedError(BackendError):
    """A certificate was not issued; `code` is one of the API's codes for that."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Nic:
    """A server's interface in a private network: a /32 address, everything routed through the gateway."""

    network_id: int
    ip: str
    mac: str
    ip_range: str  # of the whole network, e.g. "10.0.0.0/16"
    gateway: str  # first address of the network


@dataclass(frozen=True)
class ServerSpec:
    """All a backend needs to make (or remake) a server."""

    id: int
    name: str
    cores: int
    memory_gb: float
    disk_gb: int
    image: str  # "debian-13", or the id of a snapshot or backup
    ipv4: str | None
    ipv6_net: str | None  # "2001:db8:5ec:1::/64"; the server itself is ::1 in it
    mac: str  # of the public interface
    user_data: str
    ssh_public_keys: tuple[str, ...]
    location: str
    root_password: str | None
    nics: tuple[Nic, ...]
    volumes: tuple[int, ...]
    rescue: bool = False  # boot a fresh system of the base image, with the server's disk at /mnt


@dataclass(frozen=True)
class LoadBalancerSpec:
    """A load balancer whole. Services are as the API shows them; targets are addresses."""

    id: int
    name: str
    location: str
    ipv4: str | None  # None: the public interface is off
    ipv6_net: str | None  # it is ::1 in it
    mac: str
    nics: tuple[Nic, ...]
    algorithm: str  # "round_robin" or "least_connections"
    services: tuple[dict[str, Any], ...]
    targets: tuple[str, ...]
    certificates: dict[int, str]  # id -> chain and private key, PEM; one that is not issued yet is missing
    max_connections: int


@dataclass(frozen=True)
class Rule:
    """One firewall rule; port is None (esp, gre, icmp), "22" or "8000-8100"; CIDRs are canonical."""

    direction: str  # "in" or "out"
    protocol: str  # tcp, udp, icmp, esp, gre
    port: str | None
    source_ips: tuple[str, ...]
    destination_ips: tuple[str, ...]


@dataclass(frozen=True)
class HostFaults:
    """What of the machines' surroundings is broken now, by ids of servers, load balancers and volumes."""

    partitions: tuple[tuple[frozenset[int], frozenset[int] | None], ...] = ()  # None: everybody else
    lost_volumes: frozenset[int] = frozenset()
    object_store: str = ""  # "refused": its port is closed; "proxied": localcloud.object_outage decides


class Backend(Protocol):
    """Implemented by localcloud.machines (real ones) and localcloud.fake_backend (in memory)."""

    def supports_image(self, name: str) -> bool:
        """True if servers can be made from the system image of this name."""

    def create_server(self, spec: ServerSpec) -> None:
        """Make root file system, namespace, interfaces and DHCP; does not start the machine."""

    def start_server(self, spec: ServerSpec) -> None:
        """Start the machine; returns when its PID 1 runs, not when cloud-init is done."""

    def stop_server(self, server_id: int, *, hard: bool) -> None:
        """Hard: pull the plug, returns when off. Soft (ACPI): returns when the signal is sent."""

    def rebuild_server(self, spec: ServerSpec) -> None:
        """Replace the root file system by a fresh one of spec.image; leaves the machine off."""

    def create_image(self, image_id: int, server_id: int) -> None:
        """Keep a copy of the server's disk, running or not."""

    def image_size(self, image_id: int) -> float:
        """What the image takes, GB."""

    def delete_image(self, image_id: int) -> None:
        """Remove an image; servers made from it go on."""

    def set_password(self, server_id: int, password: str) -> None:
        """Set root's password in the server."""

    def delete_server(self, server_id: int) -> None:
        """Stop the machine and remove all of it; attached volumes survive, detached."""

    def update_server(self, spec: ServerSpec) -> None:
        """Apply new limits, disk size or addresses to a server that is off."""

    def is_running(self, server_id: int) -> bool:
        """The truth for the status off/running. Cheap: called at every read of a server."""

    def console(self, server_id: int, start: int) -> tuple[str, int]:
        """What the machine wrote to its console from byte `start` on (below 0: the last part), and where that ends."""

    def journal(self, server_id: int, cursor: str) -> tuple[str, str]:
        """The machine's journal after a cursor ("": the last part), and the cursor of its end."""

    def create_network(self, network_id: int, ip_range: str, routes: tuple[tuple[str, str], ...] = ()) -> None:
        """Make a private network, or change its range or its routes: (destination, gateway machine's address) each."""

    def delete_network(self, network_id: int) -> None:
        """Remove a private network; no server is attached any more."""

    def attach_network(self, server_id: int, nic: Nic) -> None:
        """Hot-plug an interface into the server (running or not)."""

    def detach_network(self, server_id: int, network_id: int) -> None:
        """Hot-unplug the server's interface in that network."""

    def create_volume(self, volume_id: int, size_gb: int, fmt: str | None) -> None:
        """Make a volume of so many GB; fmt "ext4", "xfs" or None (blank)."""

    def resize_volume(self, volume_id: int, size_gb: int) -> None:
        """Grow a volume, attached or not; the file system on it is the owner's business."""

    def delete_volume(self, volume_id: int) -> None:
        """Remove a detached volume and its data."""

    def attach_volume(self, volume_id: int, server_id: int, *, automount: bool) -> None:
        """Show the volume to the server as /dev/disk/by-id/scsi-0HC_Volume_<id>."""

    def detach_volume(self, volume_id: int) -> None:
        """Take the volume away from its server."""

    def route_floating_ip(self, ip: str, server_id: int | None) -> None:
        """Route an IPv4 address or IPv6 /64 to the server, behind its firewall; None: to nobody."""

    def forget_floating_ip(self, ip: str) -> None:
        """The address is no floating IP any more."""

    def set_load_balancer(self, spec: LoadBalancerSpec) -> None:
        """Make the load balancer, or change it to this."""

    def delete_load_balancer(self, balancer_id: int) -> None:
        """Remove the load balancer."""

    def target_health(self, balancer_id: int) -> dict[tuple[str, int], str]:
        """(target address, listen port) -> healthy, unhealthy or unknown. Cheap: called at every read."""

    def server_counters(self, server_id: int) -> dict[str, float]:
        """Name of a metric -> counter that only grows (see localcloud.samples); empty while the server is off."""

    def balancer_counters(self, balancer_id: int) -> dict[str, float]:
        """The same of a load balancer; open_connections is the number there are now."""

    def set_firewall(self, server_id: int, rules: tuple[Rule, ...] | None) -> None:
        """Replace the packet filter of the public interface: the union of all attached firewalls' rules.

        None = no firewall attached, all open. Empty = nothing comes in. Stateful; private networks are not filtered.
        """

    def suffer(self, faults: HostFaults) -> None:
        """Break exactly this, and mend what was broken before. Called again and again while anything is broken."""
