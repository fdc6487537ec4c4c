"""What faults do to the machines' surroundings: partitions, volumes with I/O errors, an unreachable object store."""

from __future__ import annotations

import contextlib
import sys

from localcloud.backend import HostFaults, LoadBalancerSpec, ServerSpec
from localcloud.machines import addresses as a
from localcloud.machines import balancer, fault_rules, floating, loops, netns, process, services
from localcloud.machines.paths import Paths
from localcloud.machines.records import every
from localcloud.machines.sh import run


class Effects:
    """Makes the host follow the faults; remembers what it loaded, so that nothing is loaded again without need."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._loaded: dict[tuple[str, int], str] = {}  # (namespace, its inode) -> nft script
        self._lost: set[int] = set()

    def follow(self, faults: HostFaults) -> None:
        """Break exactly this, mend the rest."""
        if faults.object_store == "proxied":
            self._proxy_up()
        addresses = self._addresses() if faults.partitions else {}
        rules = fault_rules.in_router(faults.partitions, addresses)
        self._load(a.ROUTER_NS, fault_rules.script(rules, fault_rules.object_store(faults.object_store)))
        inside = fault_rules.script(fault_rules.in_network(faults.partitions))
        for namespace in netns.ours():
            if namespace.startswith(a.network_ns(0)[:-1]):
                self._load(namespace, inside)
        if faults.object_store != "proxied":
            process.stop(self.paths.run / "outage.pid")
        self._volumes(set(faults.lost_volumes))

    def _load(self, namespace: str, script: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            key = (namespace, (netns.FOLDER / namespace).stat().st_ino)
            if self._loaded.get(key) != script:
                run(*netns.inside(namespace), "nft", "-f", "-", stdin=script)
                self._loaded[key] = script

    def _addresses(self) -> dict[int, list[str]]:
        """All public addresses of every server and load balancer."""
        specs: list[ServerSpec | LoadBalancerSpec] = [*every(self.paths), *balancer.known(self.paths)]
        found = {spec.id: [*filter(None, (spec.ipv4, spec.ipv6_net))] for spec in specs}
        for ip, owner in floating.known(self.paths).items():
            if owner in found:
                found[owner].append(ip)
        return found

    def _proxy_up(self) -> None:
        """The process that decides for each connection to the object store what it gets."""
        pid_file = self.paths.run / "outage.pid"
        if process.load(pid_file):
            return
        command = [
            *netns.inside(a.ROUTER_NS),
            sys.executable,
            "-m",
            "localcloud.object_outage",
            str(self.paths.database),
        ]
        command += [str(self.paths.ca / "objects.pem"), str(self.paths.ca / "objects.key")]
        env = {"PYTHONPATH": str(services.REPO), "PYTHONDONTWRITEBYTECODE": "1"}
        process.spawn(command, pid_file, self.paths.run / "outage.log", env)
        address = f"{a.OBJECTS_IP}:{a.OUTAGE_PORT}"
        services.wait(lambda: services.listens(address), 10, f"{address} (log: {self.paths.run}/outage.log)")

    def _volumes(self, lost: set[int]) -> None:
        known = {int(file.stem) for file in self.paths.volumes.glob("*.img")}
        if not self._lost:  # a daemon before us may have lost some
            self._lost = known
        for number in (lost | self._lost) & known:
            loops.set_errors(self.paths.volume(number), number in lost)
        self._lost = lost
