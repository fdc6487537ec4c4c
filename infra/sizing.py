"""How much memory and disk a number of conversations needs, and how a machine's memory is shared out. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

KB, MB, GB = 1_000, 1_000**2, 1_000**3
MIB_PER_GB = 1024  # clouds sell memory in GiB and call it GB

# Sources: measured on a 2-core machine, Debian 13, Chroma 1.5.9, 100,000 vectors of 384 dimensions.
VECTOR_MEMORY = 3.5 * KB  # Chroma's resident memory per vector: (375 - 39) MB / 100,000
VECTOR_DISK = 2.2 * KB  # Chroma's data folder per vector: 222 MB / 100,000
CHROMA_IDLE_MIB = 64  # 39 MB resident without data, and room to start
# Assumption: a message row with its indexes; 1.2 kB of text as in the guide's examples, 0.8 kB around it.
MESSAGE_DISK = 2.0 * KB
POSTGRES_BASE_MIB = 256  # shared buffers of 128 MB, Debian's default, and the processes around them
POSTGRES_HOT = 0.1  # share of the data that is read often enough to be worth keeping in memory
# all-MiniLM-L6-v2 by numpy: 133 MB resident, 288 MB at its peak in batches of 8 long texts.
WORKER_MIB = 300
SYSTEM_MIB = 1024  # operating system, proxy, agent, page cache: the guide's "plus 1 GB for the system"
MIN_WORKERS = 2  # one may be busy embedding while the other answers
USABLE = 0.93  # of the memory sold, what `free` shows as total on such a machine (kernel and firmware take the rest)
DISK_BASE = 4 * GB  # proxy, certificates, write-ahead log at its default maximum (1 GB), room for maintenance
DISK_HEADROOM = 2.0  # bloat, index rebuilds and a compaction need the space of what they rewrite


@dataclass(frozen=True)
class Demand:
    """What the data needs at least: memory of each part in MiB, and the data volume in GB (1000^3 bytes)."""

    vectors: int
    chroma_mib: int
    postgres_mib: int
    disk_gb: int

    @property
    def memory_mib(self) -> int:
        """Memory of the whole machine in MiB, with the fewest workers."""
        return self.chroma_mib + self.postgres_mib + MIN_WORKERS * WORKER_MIB + SYSTEM_MIB


@dataclass(frozen=True)
class Split:
    """How one machine's memory is shared out (MiB): hard limits of the services and PostgreSQL's settings."""

    workers: int
    sekha_max: int
    chroma_max: int
    postgres_max: int
    shared_buffers: int
    effective_cache: int
    work_mem: int
    maintenance: int
    db_pool: int
    max_connections: int
    swap: int


def demand(conversations: int, messages_per_conversation: int) -> Demand:
    """What `conversations` of so many messages need: one vector and one row a message (see the constants' sources)."""
    messages = conversations * messages_per_conversation
    rows = messages * MESSAGE_DISK
    disk = DISK_BASE + DISK_HEADROOM * (rows + messages * VECTOR_DISK)
    return Demand(
        vectors=messages,
        chroma_mib=CHROMA_IDLE_MIB + math.ceil(messages * VECTOR_MEMORY / 2**20),
        postgres_mib=POSTGRES_BASE_MIB + math.ceil(POSTGRES_HOT * rows / 2**20),
        disk_gb=math.ceil(disk / GB),
    )


def usable_mib(memory_gb: int) -> int:
    """What a machine sold with `memory_gb` has for its programs, in MiB."""
    return int(memory_gb * MIB_PER_GB * USABLE)


def split(need: Demand, vcpus: int, memory_gb: int) -> Split:
    """Share out a machine of `vcpus` and `memory_gb`. Raises ValueError when `need` does not fit it.

    Workers: one a vCPU as far as memory goes. What is left over goes to Chroma (half) and PostgreSQL (half) as room to
    grow; PostgreSQL's settings follow its documentation: a quarter of its memory as shared buffers, three quarters as
    effective cache, and work_mem such that every connection may sort twice within half of it.
    """
    total = usable_mib(memory_gb)
    spare = total - SYSTEM_MIB - need.chroma_mib - need.postgres_mib
    workers = min(vcpus, spare // WORKER_MIB)
    if workers < MIN_WORKERS:
        raise ValueError(f"{need.memory_mib} MiB do not fit a machine with {total} MiB")
    left = spare - workers * WORKER_MIB
    postgres = need.postgres_mib + left // 2
    pool = 10
    connections = workers * pool + 20  # and as many for maintenance, backup and the administrator
    return Split(
        workers=workers,
        sekha_max=workers * WORKER_MIB,
        chroma_max=need.chroma_mib + left // 2,
        postgres_max=postgres,
        shared_buffers=max(64, postgres // 4),
        effective_cache=postgres * 3 // 4,
        work_mem=min(64, max(4, postgres // 2 // (2 * connections))),
        maintenance=min(1024, max(64, postgres // 8)),
        db_pool=pool,
        max_connections=connections,
        swap=min(4096, max(1024, total // 2)),
    )
