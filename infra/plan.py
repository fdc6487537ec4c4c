"""Settings + catalog -> Plan: what will be built. Pure: no Pulumi, no I/O. infra/clouds/* obey it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra import naming, restore_settings, roles, sizing
from infra.catalog import Catalog
from infra.config_reader import PROJECT, Problem, SettingsError
from infra.settings import Settings

ROLES = roles.ORDER
DATABASE_URLS = {
    restore_settings.POSTGRES: "postgresql:///sekha?host=/var/run/postgresql",
    restore_settings.SQLITE: "sqlite:///srv/sekha/sqlite/sekha.db",
}
ANYWHERE = ("0.0.0.0/0", "::/0")
NETWORK, SUBNET, NODE_ADDRESS = "10.0.0.0/16", "10.0.1.0/24", "10.0.1.10"
PRIVATE_SUBNET = "10.0.129.0/24"  # where a cloud tells subnets with a way in from those without
SSH_PORT = "22"
KEEP_VERSIONS_DAYS = 90  # what was overwritten or deleted in the bucket can be had back for so long
DNS_TTL = 300  # seconds: an address that moves is known everywhere soon
ARCHITECTURE = "x86"  # what the release's wheels are built for

Variables = dict[str, str | int | bool | list[str]]


@dataclass(frozen=True)
class FirewallRule:
    """One inbound permission at the cloud's firewall; `port` is None for icmp."""

    protocol: str
    port: str | None
    sources: tuple[str, ...]
    description: str


@dataclass(frozen=True)
class Choice:
    """A server type in a location: one way to place the machine."""

    location: str
    server_type: str

    def __str__(self) -> str:
        return f"{self.server_type} in {self.location}"


@dataclass(frozen=True)
class Node:
    """One machine: its name and the roles it gets, in order."""

    name: str
    number: int
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Alarm:
    """A machine's figure that the cloud itself watches, and from how many percent over ten minutes it tells."""

    metric: str
    percent: int


ALARMS = (Alarm("cpu", 90),)  # what a cloud sees from outside; the rest the machine watches itself


@dataclass(frozen=True)
class BucketPlace:
    """The stack's bucket, for the clouds that make it themselves."""

    name: str
    region: str


@dataclass(frozen=True)
class Plan:
    """What a stack consists of, before it is known where. `choices` are in order of preference; sizes in GB (root disk
    0: it comes with the server). `domain`, `dns_zone`, `alert_email`: "" for none.
    """

    stack: str
    cloud: str
    topology: str
    node: Node
    demand: sizing.Demand
    choices: tuple[Choice, ...]
    firewall: tuple[FirewallRule, ...]
    volume_gb: int
    image: str
    protect: bool
    admin_cidrs: tuple[str, ...]
    ssh_public_keys: tuple[str, ...]
    domain: str = ""
    dns_zone: str = ""
    alert_email: str = ""
    bucket: BucketPlace = BucketPlace("", "")
    root_gb: int = 0
    alarms: tuple[Alarm, ...] = ALARMS


def plan(settings: Settings, catalog: Catalog) -> Plan:
    """The plan for a single server. Raises SettingsError when no server type of the catalog holds the conversations."""
    need = sizing.demand(settings.conversations, settings.messages_per_conversation)
    volume = _volume(need, catalog)
    return Plan(
        stack=settings.stack,
        cloud=settings.cloud,
        topology="single",
        node=Node(naming.node(settings.stack, 1), 1, roles_of(settings)),
        demand=need,
        choices=_choices(settings, catalog, need),
        firewall=_firewall(settings, catalog),
        volume_gb=volume,
        image=catalog.image,
        protect=settings.protect,
        admin_cidrs=settings.admin_cidrs,
        ssh_public_keys=settings.ssh_public_keys,
        domain=settings.domain,
        dns_zone=settings.dns_zone,
        alert_email=settings.alert_email,
        bucket=BucketPlace(settings.bucket.name, settings.bucket.region),
        root_gb=catalog.root_gb,
    )


def roles_of(settings: Settings) -> tuple[str, ...]:
    """A single server's roles, in order."""
    return roles.SQLITE_ORDER if settings.database == restore_settings.SQLITE else ROLES


def _volume(need: sizing.Demand, catalog: Catalog) -> int:
    """Size of the data volume in GB: what is needed, in steps of 10 (a volume can grow but never shrink)."""
    size = max(catalog.volume_min_gb, -(-need.disk_gb // 10) * 10)
    if size > catalog.volume_max_gb:
        raise SettingsError(
            [_too_much(need, f"needs a volume of {size} GB and the cloud sells {catalog.volume_max_gb}")]
        )
    return size


def _too_much(need: sizing.Demand, why: str) -> Problem:
    remedy = f"{why}; lower conversations or messagesPerConversation"
    return Problem(f"{PROJECT}:conversations x messagesPerConversation", str(need.vectors), remedy)


def _choices(settings: Settings, catalog: Catalog, need: sizing.Demand) -> tuple[Choice, ...]:
    """Regions x types, in the configured order, else by price; without types too small or of a wrong architecture."""
    fitting = {
        name
        for name, row in catalog.server_types.items()
        if row.arch == ARCHITECTURE
        and row.vcpus >= sizing.MIN_WORKERS
        and sizing.usable_mib(row.memory_gb) >= need.memory_mib
    }
    if not fitting:
        raise SettingsError([_too_much(need, f"needs {need.memory_mib} MiB of memory and no server type has so much")])
    problems = [
        Problem(f"{PROJECT}:serverTypes", name, f"{_unfit(catalog, name, need)}; fitting: {', '.join(sorted(fitting))}")
        for name in settings.server_types
        if name not in fitting
    ]
    if problems:
        raise SettingsError(problems)
    choices = []
    for region in settings.regions:
        sold = [name for name in (settings.server_types or fitting) if region in catalog.server_types[name].monthly]
        if not settings.server_types:
            sold.sort(key=lambda name: (catalog.server_types[name].monthly[region], name))
        choices += [Choice(region, name) for name in sold]
    if not choices:
        names = ", ".join(settings.server_types)
        problem = Problem(
            f"{PROJECT}:regions", ", ".join(settings.regions), f"none sells {names}; change regions or serverTypes"
        )
        raise SettingsError([problem])
    return tuple(choices)


def _unfit(catalog: Catalog, name: str, need: sizing.Demand) -> str:
    row = catalog.server_types[name]
    if row.arch != ARCHITECTURE:
        return f"is {row.arch}, and this version's releases are built for {ARCHITECTURE}"
    return f"has {sizing.usable_mib(row.memory_gb)} MiB usable and {need.memory_mib} MiB are needed"


def _firewall(settings: Settings, catalog: Catalog) -> tuple[FirewallRule, ...]:
    rules = [
        FirewallRule("tcp", "443", ANYWHERE, "https"),
        FirewallRule("tcp", "80", ANYWHERE, "redirect to https, ACME"),
        FirewallRule("icmp", None, ANYWHERE, "ping, path MTU"),
    ]
    if settings.admin_cidrs and catalog.admin_ssh:
        rules.append(FirewallRule("tcp", SSH_PORT, settings.admin_cidrs, "ssh for administrators"))
    return tuple(rules)


def role_variables(plan: Plan, settings: Settings, catalog: Catalog, choice: Choice) -> Variables:
    """The roles' variables that follow from the plan and its place; memory in MiB. Addresses, devices and hashes of the
    release are added by infra/release.py, which knows them."""
    machine = catalog.server_types[choice.server_type]
    share = sizing.split(plan.demand, machine.vcpus, machine.memory_gb)
    return {
        "stack": plan.stack,
        "node": plan.node.name,
        "domain": settings.domain,
        "tls_mode": "acme" if settings.domain else "internal",
        "acme_email": settings.acme_email,
        "admin_cidrs": list(settings.admin_cidrs),
        "metrics_cidrs": list(settings.metrics_cidrs),
        "ssh_open": bool(settings.admin_cidrs) and catalog.admin_ssh,
        "database": settings.database,
        "database_url": DATABASE_URLS[settings.database],
        "restore": settings.backups.restore,
        "restore_to": settings.backups.restore_to,
        "restore_from": settings.backups.orders(),
        "backup_processes": max(2, machine.vcpus),
        "pg_archive_timeout_s": settings.backups.archive_timeout,
        "pg_shared_buffers_mb": share.shared_buffers,
        "pg_effective_cache_mb": share.effective_cache,
        "pg_work_mem_mb": share.work_mem,
        "pg_maintenance_mb": share.maintenance,
        "pg_max_connections": share.max_connections,
        "postgres_memory_max_mb": share.postgres_max,
        "chroma_memory_max_mb": share.chroma_max,
        "sekha_workers": share.workers,
        "sekha_memory_max_mb": share.sekha_max,
        "sekha_db_pool": share.db_pool,
        "swap_mb": share.swap,
    }


def describe(plan: Plan, choice: Choice, why: str) -> Mapping[str, str]:
    """What a preview says about the plan: topic -> one line."""
    return {
        "topology": f"{plan.topology} server {plan.node.name} ({', '.join(plan.node.roles)})",
        "placement": f"{choice} ({why})",
        "data": f"{plan.demand.vectors} vectors, {plan.demand.memory_mib} MiB at least, volume of {plan.volume_gb} GB",
    }
