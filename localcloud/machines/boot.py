"""Prepare a server (disk, interfaces, addresses, firewall) and boot its machine."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from localcloud.backend import ServerSpec
from localcloud.limits import Limits
from localcloud.machines import disk, firewall, floating, guest, images, networks, nics, records, router, volumes
from localcloud.machines.paths import Paths
from localcloud.machines.sh import run, write

LOG = logging.getLogger(__name__)


class Boot:
    """Boots machines from one base image, within `limits`."""

    def __init__(self, paths: Paths, image: Path, limits: Limits) -> None:
        self.paths, self.image, self.limits = paths, image, limits
        self.floating = threading.Lock()  # one change of the floating IPs at a time
        self._warned: set[str] = set()

    def prepare(self, spec: ServerSpec) -> None:
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
            networks.set_routes(self.paths, nic.network_id)
        firewall.set_server(spec.id, spec.ipv4, spec.ipv6_net, records.load_rules(self.paths, spec.id))
        with self.floating:
            floating.restore(self.paths, spec)
        dmi = folder / "guest/dmi"
        dmi.mkdir(parents=True, exist_ok=True)
        write(dmi / "system-manufacturer", "Hetzner\n")
        write(dmi / "system-serial-number", f"{spec.id}\n")

    def set_password(self, server_id: int, password: str | None) -> None:
        """Set root's password in the server's file system, if there is one to set."""
        if password:
            run("chroot", self.paths.server(server_id) / "root", "chpasswd", stdin=f"root:{password}\n")

    def boot(self, spec: ServerSpec) -> None:
        """Start the prepared machine; returns when its systemd runs."""
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
