"""All operations that actions can name, by name."""

from __future__ import annotations

from localcloud.api import firewall_sync, networks, primary_ips, server_jobs, server_networks, volumes
from localcloud.worker import Operation

OPERATIONS: dict[str, Operation] = {
    **firewall_sync.OPERATIONS,
    **networks.OPERATIONS,
    **primary_ips.OPERATIONS,
    **server_jobs.OPERATIONS,
    **server_networks.OPERATIONS,
    **volumes.OPERATIONS,
}
