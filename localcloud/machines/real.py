"""RealBackend: servers, networks, firewalls and volumes as the API's workers ask for them (localcloud/backend.py)."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud.backend import BackendError, LoadBalancerSpec, Nic, Rule, ServerSpec
from localcloud.image.build import IMAGE_NAME
from localcloud.limits import Limits, detect
from localcloud.machines import balancer, disk, firewall, floating, guest, images, nics, router, volumes
from localcloud.machines.paths import Paths
from localcloud.machines.sh import read_json, run, write

LOG = logging.getLogger(__name__)
DOWN_LIMIT = 20.0  # s for an orderly power-off when the local cloud goes down


class RealBackend:
    """Keeps its own record of every server (spec.json, firewall.json), to rebuild what a reboot of the host took."""

    def __init__(self, paths: Paths, image: Path, limits: Limits | None = None) -> None:
        self.paths = paths
        self.image = image
        self.limits = limits or detect()
        self._locks: defaultdict[int, threading.RLock] = defaultdict(threading.RLock)
        self._floating = threading.Lock()
        self._warned: set[str] = set()

    # -- the API's calls ------------------------------------------------------------------------------------------

    def supports_image(self, name: str) -> bool:
        return name == IMAGE_NAME

    def create_server(self, spec: ServerSpec) -> None:
        with self._server(spec.id):
            self.paths.server(spec.id).mkdir(parents=True, exist_ok=True)
            self._save(spec)
            self._prepare(spec)
            self._password(spec.id, spec.root_password)

    def start_server(self, spec: ServerSpec) -> None:
        with self._server(spec.id):
            folder = self.paths.server(spec.id)
            if guest.is_running(folder):
                return
            folder.mkdir(parents=True, exist_ok=True)
            old = self._load(spec.id)
            if spec.rescue or (old and old.rescue):
                disk.unmount(folder)
            self._save(spec)
            self._prepare(spec)
            self._password(spec.id, spec.root_password if spec.rescue else None)
            self._boot(spec)

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
            self._password(server_id, password)

    def delete_server(self, server_id: int) -> None:
        with self._server(server_id):
            folder = self.paths.server(server_id)
            if not folder.is_dir():
                return
            self.stop_server(server_id, hard=True)
            self.limits.remove(server_id)
            for volume_id in volumes.of_server(self.paths, server_id):
                volumes.detach(self.paths, volume_id, self.limits)
            spec = self._load(server_id)
            if spec:
                router.dhcp_remove(self.paths, server_id)
                nics.public_down(spec)
                firewall.remove_server(server_id, spec.ipv4, spec.ipv6_net)
            disk.remove(folder)

    def update_server(self, spec: ServerSpec) -> None:
        with self._server(spec.id):
            old = self._load(spec.id)
            if old and (old.ipv4, old.ipv6_net) != (spec.ipv4, spec.ipv6_net):
                router.dhcp_remove(self.paths, spec.id)
                firewall.remove_server(spec.id, old.ipv4, old.ipv6_net)
            if not guest.is_running(self.paths.server(spec.id)):
                disk.grow_root(self.paths.server(spec.id), spec.disk_gb)
            self.create_server(dataclasses.replace(spec, root_password=None))

    def is_running(self, server_id: int) -> bool:
        return guest.is_running(self.paths.server(server_id))

    def create_network(self, network_id: int, ip_range: str) -> None:
        nics.network_up(self.paths, network_id, ip_range)
        for spec in self.specs():
            for nic in spec.nics:
                if nic.network_id == network_id and nic.ip_range != ip_range:
                    self.attach_network(spec.id, dataclasses.replace(nic, ip_range=ip_range))

    def delete_network(self, network_id: int) -> None:
        for spec in self.specs():
            if any(nic.network_id == network_id for nic in spec.nics):
                self.detach_network(spec.id, network_id)
        nics.network_down(self.paths, network_id)

    def attach_network(self, server_id: int, nic: Nic) -> None:
        with self._server(server_id):
            spec = self._must_load(server_id)
            others = tuple(n for n in spec.nics if n.network_id != nic.network_id)
            nics.attach(server_id, nic)
            self._save(dataclasses.replace(spec, nics=(*others, nic)))

    def detach_network(self, server_id: int, network_id: int) -> None:
        with self._server(server_id):
            nics.detach(server_id, network_id)
            spec = self._load(server_id)
            if spec:
                self._save(dataclasses.replace(spec, nics=tuple(n for n in spec.nics if n.network_id != network_id)))

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
        spec = self._must_load(server_id) if server_id is not None else None
        with self._floating:
            floating.route(self.paths, ip, spec)

    def forget_floating_ip(self, ip: str) -> None:
        with self._floating:
            floating.forget(self.paths, ip)

    def set_load_balancer(self, spec: LoadBalancerSpec) -> None:
        with self._server(spec.id):
            balancer.apply(self.paths, spec)

    def delete_load_balancer(self, balancer_id: int) -> None:
        with self._server(balancer_id):
            balancer.remove(self.paths, balancer_id)

    def target_health(self, balancer_id: int) -> dict[tuple[str, int], str]:
        return balancer.health(self.paths, balancer_id)

    def set_firewall(self, server_id: int, rules: tuple[Rule, ...] | None) -> None:
        with self._server(server_id):
            spec = self._must_load(server_id)
            firewall.set_server(server_id, spec.ipv4, spec.ipv6_net, rules)
            data = None if rules is None else [dataclasses.asdict(rule) for rule in rules]
            write(self.paths.server(server_id) / "firewall.json", json.dumps(data))

    # -- the whole cloud ------------------------------------------------------------------------------------------

    def restore(self) -> list[int]:
        """After a start: make what is missing of networks and servers; start the servers that should run.

        Returns the ids of the servers it started. One that can't be started is logged, not fatal.
        """
        for network_id, ip_range in nics.networks(self.paths).items():
            nics.network_up(self.paths, network_id, ip_range)
        for spec in balancer.known(self.paths):
            try:
                self.set_load_balancer(spec)
            except BackendError as error:
                LOG.warning("load balancer %d (%s) could not be restored: %s", spec.id, spec.name, error)
        with ThreadPoolExecutor(max_workers=4) as pool:
            return [server_id for server_id in pool.map(self._restore, self.specs()) if server_id]

    def _restore(self, spec: ServerSpec) -> int | None:
        try:
            with self._server(spec.id):
                images.thaw(self.paths.server(spec.id))  # we may have been killed while making an image
                running = guest.is_running(self.paths.server(spec.id))
                self._prepare(spec)
                if not running and (self.paths.server(spec.id) / "wanted").exists():
                    self._boot(spec)
                    return spec.id
        except (BackendError, OSError) as error:
            LOG.warning("server %d (%s) could not be restored: %s", spec.id, spec.name, error)
        return None

    def shut_down(self) -> None:
        """Power all machines off (orderly for DOWN_LIMIT seconds, then the plug); the next `up` starts them again."""
        folders = [folder for folder in self._folders() if guest.is_running(folder)]
        for folder in folders:
            guest.host_shutdown(folder)
        for folder in folders:
            guest.wait_off(folder, DOWN_LIMIT)
        for folder in folders:
            if guest.is_running(folder):
                wanted = (folder / "wanted").exists()
                guest.pull_plug(folder)
                if wanted:
                    (folder / "wanted").touch()

    def specs(self) -> list[ServerSpec]:
        """All servers."""
        found = [self._load(int(folder.name)) for folder in self._folders()]
        return [spec for spec in found if spec]

    # -- inside ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _server(self, server_id: int) -> Iterator[None]:
        """One change of a server at a time; system errors become BackendError."""
        with self._locks[server_id]:
            try:
                yield
            except OSError as error:
                raise BackendError(str(error)) from error

    def _prepare(self, spec: ServerSpec) -> None:
        """Everything a boot needs; repeating it changes nothing."""
        folder = self.paths.server(spec.id)
        if not guest.is_running(folder):
            if spec.image.isdecimal():
                images.install(self.paths, int(spec.image), folder, spec.disk_gb)
            if spec.rescue and not disk.is_mounted(folder / "root"):
                disk.make_rescue(folder, self.image)
            disk.make_root(folder, self.image, spec.disk_gb)
        nics.public_up(spec)
        if spec.ipv4:
            router.dhcp_add(self.paths, spec.id, spec.mac, spec.ipv4)
        for nic in spec.nics:
            nics.attach(spec.id, nic)
        stored = read_json(folder / "firewall.json")
        rules = None if stored is None else tuple(_rule(item) for item in stored)
        firewall.set_server(spec.id, spec.ipv4, spec.ipv6_net, rules)
        with self._floating:
            floating.restore(self.paths, spec)
        dmi = folder / "guest/dmi"
        dmi.mkdir(parents=True, exist_ok=True)
        write(dmi / "system-manufacturer", "Hetzner\n")
        write(dmi / "system-serial-number", f"{spec.id}\n")

    def _password(self, server_id: int, password: str | None) -> None:
        if password:
            run("chroot", self.paths.server(server_id) / "root", "chpasswd", stdin=f"root:{password}\n")

    def _boot(self, spec: ServerSpec) -> None:
        folder = self.paths.server(spec.id)
        self.limits.remove(spec.id)  # whatever a killed machine left
        for warning in self.limits.create(spec.id, spec.cores, spec.memory_gb):
            if warning not in self._warned:
                self._warned.add(warning)
                LOG.warning("%s", warning)
        volumes.prepare(self.paths, spec.id, self.limits)
        lxcfs = self.paths.run / "lxcfs"
        mount = lxcfs if disk.is_mounted(lxcfs) else None
        command = guest.nspawn_command(folder, spec.id, spec.name, mount)
        (folder / "wanted").touch()
        if public := bool(spec.ipv4 or spec.ipv6_net):
            run(*nics.carrier(spec.id, "up"))
        off = nics.carrier(spec.id, "down") if public else []
        guest.start(folder, command, self.limits.join_files(spec.id), off)

    def _folders(self) -> list[Path]:
        if not self.paths.servers.is_dir():
            return []
        return sorted(folder for folder in self.paths.servers.iterdir() if folder.name.isdigit())

    def _save(self, spec: ServerSpec) -> None:
        folder = self.paths.server(spec.id)
        kept = dataclasses.asdict(dataclasses.replace(spec, root_password=None))
        write(folder / "spec.json", json.dumps(kept), 0o600)
        nics.save_metadata(folder, spec)

    def _load(self, server_id: int) -> ServerSpec | None:
        data = read_json(self.paths.server(server_id) / "spec.json")
        return _spec(data) if isinstance(data, dict) else None

    def _must_load(self, server_id: int) -> ServerSpec:
        spec = self._load(server_id)
        if spec is None:
            raise BackendError(f"server {server_id} has no record in {self.paths.server(server_id)}")
        return spec


def _spec(data: dict[str, Any]) -> ServerSpec:
    lists = {"ssh_public_keys": tuple(data["ssh_public_keys"]), "volumes": tuple(data["volumes"])}
    return ServerSpec(**{**data, **lists, "nics": tuple(Nic(**nic) for nic in data["nics"])})


def _rule(data: dict[str, Any]) -> Rule:
    return Rule(**{**data, "source_ips": tuple(data["source_ips"]), "destination_ips": tuple(data["destination_ips"])})
