"""All operations that actions can name, by name."""

from __future__ import annotations

from localcloud.api import (
    certificates,
    firewall_sync,
    floating_ips,
    images,
    lb_state,
    networks,
    primary_ips,
    server_extras,
    server_jobs,
    server_networks,
    volumes,
)
from localcloud.worker import Operation

OPERATIONS: dict[str, Operation] = {
    "wait": Operation(),  # of an action whose effect is there already, and that a fault makes slow
    **certificates.OPERATIONS,
    **floating_ips.OPERATIONS,
    **firewall_sync.OPERATIONS,
    **images.OPERATIONS,
    **lb_state.OPERATIONS,
    **server_extras.OPERATIONS,
    **networks.OPERATIONS,
    **primary_ips.OPERATIONS,
    **server_jobs.OPERATIONS,
    **server_networks.OPERATIONS,
    **volumes.OPERATIONS,
}
