"""RealBackend: servers, networks, firewalls and volumes as the API's workers ask for them (localcloud/backend.py)."""

from __future__ import annotations

import dataclasses
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.backend import BackendError, HostFaults, LoadBalancerSpec, Nic, Rule, ServerSpec
from localcloud.image.build import IMAGE_NAME
from localcloud.limits import Limits, detect
from localcloud.machines import (
    balancer,
    disk,
    firewall,
    floating,
    guest,
    images,
    networks,
    nics,
    output,
    records,
    router,
    usage,
    volumes,
)
from localcloud.machines.boot import Boot
from localcloud.machines.fault_effects import Effects
from localcloud.machines.paths import Paths


class RealBackend:
    """Works from its own record of every server, to rebuild what a reboot of the host took."""

    def __init__(self, paths: Paths, image: Path, limits: Limits | None = None) -> None:
        self.paths = paths
        self.limits = limits or detect()
        self._boot = Boot(paths, image, self.limits)
        self._effects = Effects(paths)
        self._locks: defaultdict[int, threading.RLock] = defaultdict(threading.RLock)

    def supports_image(self, name: str) -> bool:
        return name == IMAGE_NAME

    def create_server(self, spec: ServerSpec) -> None:
        with self._server(spec.id):
            self.paths.server(spec.id).mkdir(parents=True, exist_ok=True)
            records.save(self.paths, spec)
            self._boot.prepare(spec)
            self._boot.set_password(spec.id, spec.root_password)

    def start_server(self, spec: ServerSpec) -> None:
        with self._server(spec.id):
            folder = self.paths.server(spec.id)
            if guest.is_running(folder):
                return
            folder.mkdir(parents=True, exist_ok=True)
            old = records.load(self.paths, spec.id)
            if spec.rescue or (old and old.rescue):
                disk.unmount(folder)
            records.save(self.paths, spec)
            self._boot.prepare(spec)
            self._boot.set_password(spec.id, spec.root_password if spec.rescue else None)
            self._boot.boot(spec)

    def stop_server(self, server_id: int, *, hard: bool) -> None:
        folder = self.paths.server(server_id)
        (folder / "wanted").unlink(missing_ok=True)
        if hard:
            guest.pull_plug(folder)
        else:
            guest.signal_off(folder)

    def rebuild_server(self, spec: ServerSpec) -> None:
        with self._server(spec.id):
            folder = self.paths.server(spec.id)
            self.stop_server(spec.id, hard=True)
            disk.wipe(folder)
            self.create_server(spec)

    def create_image(self, image_id: int, server_id: int) -> None:
        with self._server(server_id):
            images.create(self.paths, image_id, self.paths.server(server_id))

    def image_size(self, image_id: int) -> float:
        return images.size_gb(self.paths, image_id)

    def delete_image(self, image_id: int) -> None:
        images.remove(self.paths, image_id)

    def set_password(self, server_id: int, password: str) -> None:
        with self._server(server_id):
            self._boot.set_password(server_id, password)

    def delete_server(self, server_id: int) -> None:
        with self._server(server_id):
            folder = self.paths.server(server_id)
            if not folder.is_dir():
                return
            self.stop_server(server_id, hard=True)
            self.limits.remove(server_id)
            for volume_id in volumes.of_server(self.paths, server_id):
                volumes.detach(self.paths, volume_id, self.limits)
            spec = records.load(self.paths, server_id)
            if spec:
                router.dhcp_remove(self.paths, server_id)
                nics.public_down(spec)
                firewall.remove_server(server_id, spec.ipv4, spec.ipv6_net)
            disk.remove(folder)

    def update_server(self, spec: ServerSpec) -> None:
        with self._server(spec.id):
            old = records.load(self.paths, spec.id)
            if old and (old.ipv4, old.ipv6_net) != (spec.ipv4, spec.ipv6_net):
                router.dhcp_remove(self.paths, spec.id)
                firewall.remove_server(spec.id, old.ipv4, old.ipv6_net)
            folder = self.paths.server(spec.id)
            if not guest.is_running(folder):
                disk.grow_root(folder, spec.disk_gb)
            self.create_server(dataclasses.replace(spec, root_password=None))

    def is_running(self, server_id: int) -> bool:
        return guest.is_running(self.paths.server(server_id))

    def console(self, server_id: int, start: int) -> tuple[str, int]:
        return output.console(self.paths.server(server_id), start)

    def journal(self, server_id: int, cursor: str) -> tuple[str, str]:
        return output.journal(self.paths.server(server_id), cursor)

    def create_network(self, network_id: int, ip_range: str, routes: tuple[tuple[str, str], ...] = ()) -> None:
        networks.up(self.paths, network_id, ip_range, routes)
        for spec in self.specs():
            for nic in spec.nics:
                if nic.network_id == network_id and nic.ip_range != ip_range:
                    self.attach_network(spec.id, dataclasses.replace(nic, ip_range=ip_range))

    def delete_network(self, network_id: int) -> None:
        for spec in self.specs():
            if any(nic.network_id == network_id for nic in spec.nics):
                self.detach_network(spec.id, network_id)
        networks.down(self.paths, network_id)

    def attach_network(self, server_id: int, nic: Nic) -> None:
        with self._server(server_id):
            spec = records.must_load(self.paths, server_id)
            others = tuple(n for n in spec.nics if n.network_id != nic.network_id)
            nics.attach(server_id, nic)
            networks.set_routes(self.paths, nic.network_id)
            records.save(self.paths, dataclasses.replace(spec, nics=(*others, nic)))

    def detach_network(self, server_id: int, network_id: int) -> None:
        with self._server(server_id):
            nics.detach(server_id, network_id)
            spec = records.load(self.paths, server_id)
            if spec:
                records.save(
                    self.paths,
                    dataclasses.replace(spec, nics=tuple(n for n in spec.nics if n.network_id != network_id)),
                )

    def create_volume(self, volume_id: int, size_gb: int, fmt: str | None) -> None:
        volumes.create(self.paths, volume_id, size_gb, fmt)

    def resize_volume(self, volume_id: int, size_gb: int) -> None:
        volumes.resize(self.paths, volume_id, size_gb)

    def delete_volume(self, volume_id: int) -> None:
        volumes.delete(self.paths, volume_id)

    def attach_volume(self, volume_id: int, server_id: int, *, automount: bool) -> None:
        with self._server(server_id):
            volumes.attach(self.paths, volume_id, server_id, self.limits, automount=automount)

    def detach_volume(self, volume_id: int) -> None:
        with self._server(volumes.attached_to(self.paths, volume_id) or 0):
            volumes.detach(self.paths, volume_id, self.limits)

    def route_floating_ip(self, ip: str, server_id: int | None) -> None:
        spec = records.must_load(self.paths, server_id) if server_id is not None else None
        with self._boot.floating:
            floating.route(self.paths, ip, spec)

    def forget_floating_ip(self, ip: str) -> None:
        with self._boot.floating:
            floating.forget(self.paths, ip)

    def set_load_balancer(self, spec: LoadBalancerSpec) -> None:
        with self._server(spec.id):
            balancer.apply(self.paths, spec)

    def delete_load_balancer(self, balancer_id: int) -> None:
        with self._server(balancer_id):
            balancer.remove(self.paths, balancer_id)

    def target_health(self, balancer_id: int) -> dict[tuple[str, int], str]:
        return balancer.health(self.paths, balancer_id)

    def server_counters(self, server_id: int) -> dict[str, float]:
        return usage.server(self.paths.server(server_id), server_id)

    def balancer_counters(self, balancer_id: int) -> dict[str, float]:
        return balancer.counters(self.paths, balancer_id)

    def set_firewall(self, server_id: int, rules: tuple[Rule, ...] | None) -> None:
        with self._server(server_id):
            spec = records.must_load(self.paths, server_id)
            firewall.set_server(server_id, spec.ipv4, spec.ipv6_net, rules)
            records.save_rules(self.paths, server_id, rules)

    def suffer(self, faults: HostFaults) -> None:
        self._effects.follow(faults)

    def restore_server(self, spec: ServerSpec) -> bool:
        """Make what is missing of a server and start it if it should run; True if it had to be started."""
        folder = self.paths.server(spec.id)
        with self._server(spec.id):
            images.thaw(folder)  # we may have been killed while making an image
            running = guest.is_running(folder)
            self._boot.prepare(spec)
            start = not running and (folder / "wanted").exists()
            if start:
                self._boot.boot(spec)
            return start

    def specs(self) -> list[ServerSpec]:
        """All servers."""
        return records.every(self.paths)

    @contextmanager
    def _server(self, server_id: int) -> Iterator[None]:
        """One change of a server at a time; system errors become BackendError."""
        with self._locks[server_id]:
            try:
                yield
            except OSError as error:
                raise BackendError(str(error)) from error
