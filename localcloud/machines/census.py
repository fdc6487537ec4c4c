"""What of the API's objects is there on the host, for `localcloud check`. Reads only."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from localcloud.check import Host
from localcloud.machines import addresses as a
from localcloud.machines import floating, guest, netns, networks, volumes
from localcloud.machines.diskfile import GB
from localcloud.machines.paths import Paths
from localcloud.machines.real import RealBackend


def _numbers(folder: Path, pattern: str = "*") -> set[int]:
    return {int(path.stem) for path in folder.glob(pattern) if path.stem.isdecimal()}


def take(paths: Paths) -> Host:
    """Everything there is. Raises OSError when a file can't be read."""
    specs = {spec.id: asdict(spec) for spec in RealBackend(paths, Path("/nonexistent")).specs()}
    folders = {number: paths.server(number) for number in specs}
    disks = {number: file.stat().st_size // GB for file in paths.volumes.glob("*.img") if (number := int(file.stem))}
    attached = {number: volumes.attached_to(paths, number) for number in disks}
    namespaces, known = set(netns.ours()), networks.every(paths)
    return Host(
        servers=specs,
        running={number for number, folder in folders.items() if guest.is_running(folder)},
        wanted={number for number, folder in folders.items() if (folder / "wanted").exists()},
        disks={number for number, folder in folders.items() if (folder / "disk.img").exists()},
        namespaces=namespaces,
        networks={number: ip_range for number, (ip_range, _) in known.items()},
        routes={number: sorted(routes) for number, (_, routes) in known.items()},
        volumes=disks,
        attached={number: server for number, server in attached.items() if server is not None},
        images=_numbers(paths.cloud / "images"),
        balancers=_numbers(paths.cloud / "balancers"),
        floating=floating.known(paths),
        up=a.ROUTER_NS in namespaces,
    )
