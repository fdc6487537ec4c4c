"""All machines at once: after a start of the daemon, and when the local cloud goes down."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from localcloud.backend import BackendError, ServerSpec
from localcloud.machines import balancer, guest, networks, records
from localcloud.machines.paths import Paths
from localcloud.machines.real import RealBackend

LOG = logging.getLogger(__name__)
DOWN_LIMIT = 20.0  # s for an orderly power-off


def restore(backend: RealBackend) -> list[int]:
    """Make what is missing of networks, load balancers and servers; start the servers that should run.

    Returns the ids of the servers it started. One that can't be started is logged, not fatal.
    """
    for network_id, (ip_range, routes) in networks.every(backend.paths).items():
        networks.up(backend.paths, network_id, ip_range, routes)
    for spec in balancer.known(backend.paths):
        try:
            backend.set_load_balancer(spec)
        except BackendError as error:
            LOG.warning("load balancer %d (%s) could not be restored: %s", spec.id, spec.name, error)

    def started(spec: ServerSpec) -> bool:
        try:
            return backend.restore_server(spec)
        except (BackendError, OSError) as error:
            LOG.warning("server %d (%s) could not be restored: %s", spec.id, spec.name, error)
            return False

    specs = records.every(backend.paths)
    with ThreadPoolExecutor(max_workers=4) as pool:
        return [spec.id for spec, new in zip(specs, pool.map(started, specs), strict=True) if new]


def shut_down(paths: Paths) -> None:
    """Power all machines off (orderly for DOWN_LIMIT seconds, then the plug); the next `up` starts them again."""
    folders = [folder for folder in records.folders(paths) if guest.is_running(folder)]
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
