"""Conversations -> what they need of any cloud: machines, memory, disks, traffic. Pure, and without prices.

The guide's single server below 100,000 conversations; from there on its cluster: load balancer, two controllers and
three data nodes, each of the guide's size at least and each data node with all data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from infra import sizing
from infra.checks import SINGLE_SERVER_LIMIT

CONTROLLERS, DATA_NODES = 2, 3  # docs: two so that one may fail; three so that etcd keeps a majority
# The guide, "Multi-Node", per node: 8+ cores, 16-32 GB, 500 GB+ SSD.
GUIDE_VCPUS, GUIDE_MEMORY_GB, GUIDE_MEMORY_TOP_GB, GUIDE_DISK_GB = 8, 16, 32, 500
ROOT_GB = 20  # operating system, service, logs; where a plan comes without a disk it is bought
SMALLEST_VOLUME_GB = 10
# Assumptions, not measured. Backups: 30 days as in the guide, weekly full ones compressed to 0.4, and the log between.
BACKUP_COPIES = 3.0
RELEASES_GB = 1  # a few releases of the service and its embedding model
EGRESS_PER_CONVERSATION = 200 * sizing.KB  # bytes a month: ten searches that answer with 20 kB


@dataclass(frozen=True)
class NodeNeed:
    """What each of `count` equal machines must have: memory sold (GB) and usable (MiB), own disk and volume in GB."""

    role: str
    count: int
    vcpus: int
    memory_gb: int
    memory_mib: int
    disk_gb: int
    volume_gb: int


@dataclass(frozen=True)
class Need:
    """What a number of conversations asks of any cloud; GB of backups stored and of traffic out a month."""

    conversations: int
    messages: int
    topology: str
    nodes: tuple[NodeNeed, ...]
    managed: bool
    database_mib: int
    database_gb: int
    backup_gb: int
    egress_gb: int


def need(conversations: int, messages: int = 10, managed: bool = False) -> Need:
    """What `conversations` of `messages` each need, with PostgreSQL on the machines or (`managed`) as a service."""
    demand = sizing.demand(conversations, messages)
    rows = demand.vectors * sizing.MESSAGE_DISK
    database_gb = math.ceil(sizing.DISK_HEADROOM * rows / sizing.GB)
    memory = demand.memory_mib - (demand.postgres_mib if managed else 0)
    disk = max(SMALLEST_VOLUME_GB, demand.disk_gb - (database_gb if managed else 0))
    single = conversations < SINGLE_SERVER_LIMIT
    nodes: tuple[NodeNeed, ...] = (NodeNeed("server", 1, sizing.MIN_WORKERS, 1, memory, ROOT_GB, disk),)
    if not single:
        workers = sizing.MIN_WORKERS * sizing.WORKER_MIB
        nodes = (
            NodeNeed(
                "controller", CONTROLLERS, GUIDE_VCPUS, GUIDE_MEMORY_GB, workers + sizing.SYSTEM_MIB, GUIDE_DISK_GB, 0
            ),
            NodeNeed(
                "data node",
                DATA_NODES,
                GUIDE_VCPUS,
                GUIDE_MEMORY_GB,
                memory - workers,
                ROOT_GB,
                max(GUIDE_DISK_GB, disk),
            ),
        )
    return Need(
        conversations=conversations,
        messages=messages,
        topology="single" if single else "cluster",
        nodes=nodes,
        managed=managed,
        database_mib=demand.postgres_mib,
        database_gb=database_gb,
        backup_gb=math.ceil(BACKUP_COPIES * rows / sizing.GB),
        egress_gb=math.ceil(conversations * EGRESS_PER_CONVERSATION / sizing.GB),
    )
