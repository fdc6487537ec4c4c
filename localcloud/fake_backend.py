"""An in-memory Backend: machines that start at once. For the API's tests and for running without machines."""

from __future__ import annotations

import threading
import time
from typing import Any

from localcloud.backend import BackendError, HostFaults, LoadBalancerSpec, Nic, Rule, ServerSpec


class FakeBackend:
    """Remembers what was asked. `delay` (seconds) slows every call; `fail` maps a method's name to an error text."""

    def __init__(self, images: tuple[str, ...] = ("debian-12", "debian-13", "ubuntu-24.04"), delay: float = 0) -> None:
        self.images = images
        self.delay = delay
        self.fail: dict[str, str] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.servers: dict[int, ServerSpec] = {}
        self.running: set[int] = set()
        self.networks: dict[int, str] = {}
        self.routes: dict[int, list[tuple[str, str]]] = {}
        self.nics: dict[int, dict[int, Nic]] = {}
        self.volumes: dict[int, tuple[int, str | None]] = {}
        self.attached: dict[int, int] = {}
        self.firewalls: dict[int, tuple[Rule, ...] | None] = {}
        self.floating: dict[str, int | None] = {}
        self.image_of: dict[int, ServerSpec] = {}  # image id -> the server as it was
        self.booted: dict[int, ServerSpec] = {}  # as they were last started
        self.passwords: dict[int, str] = {}
        self.balancers: dict[int, LoadBalancerSpec] = {}
        self.consoles: dict[int, str] = {}
        self.journals: dict[int, list[str]] = {}
        self.counters: dict[int, dict[str, float]] = {}
        self.health: dict[int, dict[tuple[str, int], str]] = {}
        self.suffers = HostFaults()
        self._lock = threading.Lock()

    def _call(self, name: str, *arguments: Any) -> None:
        with self._lock:
            self.calls.append((name, *arguments))
        if self.delay:
            time.sleep(self.delay)
        if name in self.fail:
            raise BackendError(self.fail[name])

    def _known(self, server_id: int) -> None:
        if server_id not in self.servers:
            raise BackendError(f"server {server_id} does not exist")

    def supports_image(self, name: str) -> bool:
        return name in self.images

    def create_server(self, spec: ServerSpec) -> None:
        self._call("create_server", spec)
        self.servers[spec.id] = spec
        self.nics[spec.id] = {nic.network_id: nic for nic in spec.nics}

    def start_server(self, spec: ServerSpec) -> None:
        self._call("start_server", spec.id)
        self._known(spec.id)
        self.booted[spec.id] = spec
        self.running.add(spec.id)

    def stop_server(self, server_id: int, *, hard: bool) -> None:
        self._call("stop_server", server_id, hard)
        self.running.discard(server_id)

    def rebuild_server(self, spec: ServerSpec) -> None:
        self._call("rebuild_server", spec)
        self._known(spec.id)
        self.running.discard(spec.id)
        self.servers[spec.id] = spec

    def create_image(self, image_id: int, server_id: int) -> None:
        self._call("create_image", image_id, server_id)
        self._known(server_id)
        self.image_of[image_id] = self.servers[server_id]

    def image_size(self, image_id: int) -> float:
        return 1.5

    def delete_image(self, image_id: int) -> None:
        self._call("delete_image", image_id)
        self.image_of.pop(image_id, None)

    def set_password(self, server_id: int, password: str) -> None:
        self._call("set_password", server_id)
        self._known(server_id)
        self.passwords[server_id] = password

    def delete_server(self, server_id: int) -> None:
        self._call("delete_server", server_id)
        self.running.discard(server_id)
        self.servers.pop(server_id, None)
        self.nics.pop(server_id, None)
        self.firewalls.pop(server_id, None)

    def update_server(self, spec: ServerSpec) -> None:
        self._call("update_server", spec)
        self._known(spec.id)
        self.servers[spec.id] = spec

    def is_running(self, server_id: int) -> bool:
        return server_id in self.running

    def console(self, server_id: int, start: int) -> tuple[str, int]:
        text = self.consoles.get(server_id, "")
        start = max(0, start) if start <= len(text) else 0
        return text[start:], len(text)

    def journal(self, server_id: int, cursor: str) -> tuple[str, str]:
        if server_id not in self.running:
            raise BackendError("the machine is off: its journal is inside it")
        lines = self.journals.get(server_id, [])
        return "".join(f"{line}\n" for line in lines[int(cursor or 0) :]), str(len(lines))

    def create_network(self, network_id: int, ip_range: str, routes: tuple[tuple[str, str], ...] = ()) -> None:
        self._call("create_network", network_id, ip_range)
        self.networks[network_id] = ip_range
        self.routes[network_id] = sorted(routes)

    def delete_network(self, network_id: int) -> None:
        self._call("delete_network", network_id)
        self.networks.pop(network_id, None)

    def attach_network(self, server_id: int, nic: Nic) -> None:
        self._call("attach_network", server_id, nic)
        self._known(server_id)
        self.nics[server_id][nic.network_id] = nic

    def detach_network(self, server_id: int, network_id: int) -> None:
        self._call("detach_network", server_id, network_id)
        self.nics.get(server_id, {}).pop(network_id, None)

    def create_volume(self, volume_id: int, size_gb: int, fmt: str | None) -> None:
        self._call("create_volume", volume_id, size_gb, fmt)
        self.volumes[volume_id] = (size_gb, fmt)

    def resize_volume(self, volume_id: int, size_gb: int) -> None:
        self._call("resize_volume", volume_id, size_gb)
        self.volumes[volume_id] = (size_gb, self.volumes[volume_id][1])

    def delete_volume(self, volume_id: int) -> None:
        self._call("delete_volume", volume_id)
        self.volumes.pop(volume_id, None)

    def attach_volume(self, volume_id: int, server_id: int, *, automount: bool) -> None:
        self._call("attach_volume", volume_id, server_id, automount)
        self._known(server_id)
        self.attached[volume_id] = server_id

    def detach_volume(self, volume_id: int) -> None:
        self._call("detach_volume", volume_id)
        self.attached.pop(volume_id, None)

    def route_floating_ip(self, ip: str, server_id: int | None) -> None:
        self._call("route_floating_ip", ip, server_id)
        if server_id is not None:
            self._known(server_id)
        self.floating[ip] = server_id

    def forget_floating_ip(self, ip: str) -> None:
        self._call("forget_floating_ip", ip)
        self.floating.pop(ip, None)

    def set_load_balancer(self, spec: LoadBalancerSpec) -> None:
        self._call("set_load_balancer", spec.id)
        self.balancers[spec.id] = spec

    def delete_load_balancer(self, balancer_id: int) -> None:
        self._call("delete_load_balancer", balancer_id)
        self.balancers.pop(balancer_id, None)

    def target_health(self, balancer_id: int) -> dict[tuple[str, int], str]:
        return self.health.get(balancer_id, {})

    def server_counters(self, server_id: int) -> dict[str, float]:
        return self.counters.get(server_id, {})

    def balancer_counters(self, balancer_id: int) -> dict[str, float]:
        return self.counters.get(balancer_id, {})

    def set_firewall(self, server_id: int, rules: tuple[Rule, ...] | None) -> None:
        self._call("set_firewall", server_id, rules)
        self._known(server_id)
        self.firewalls[server_id] = rules

    def suffer(self, faults: HostFaults) -> None:
        self.suffers = faults
