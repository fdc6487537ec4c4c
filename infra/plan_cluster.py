"""Conversations + catalog -> the plan of the guide's cluster, and its cost. Pure; no cloud builds it yet.

Load balancer, two controllers, three data nodes (infra/compare_need.py says what each must have), all in one location:
a private network does not span network zones, and etcd wants short ways. PostgreSQL by Patroni and etcd and a full
Chroma replica are on every data node; controllers keep no data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from infra import compare, compare_need, naming, sizing
from infra.catalog import Catalog, ServerType
from infra.catalog_prices import Price
from infra.checks import SINGLE_SERVER_LIMIT
from infra.compare_need import NodeNeed
from infra.config_reader import PROJECT, Problem, SettingsError
from infra.cost import Cost, Item
from infra.plan import ANYWHERE, ARCHITECTURE, SSH_PORT, FirewallRule, Node

ROLES = {
    "controller": ("base", "haproxy", "sekha"),
    "data node": ("base", "backup", "etcd", "patroni", "chroma"),
}
FIRST_ADDRESS = {"controller": 10, "data node": 20}  # in 10.0.1.0/24


@dataclass(frozen=True)
class Member:
    """One machine of the cluster: name, roles, private address; its own volumes in GB."""

    node: Node
    group: str
    address: str
    volumes_gb: tuple[int, ...]


@dataclass(frozen=True)
class Placed:
    """One way to place the cluster: its location, and the server type of each group."""

    location: str
    types: Mapping[str, str]
    members: tuple[Member, ...]

    def __str__(self) -> str:
        counts = {group: sum(member.group == group for member in self.members) for group in self.types}
        return ", ".join(f"{counts[group]} x {name}" for group, name in self.types.items()) + f" in {self.location}"


@dataclass(frozen=True)
class ClusterPlan:
    """What a cluster consists of. `choices` in order of preference; `firewall` for machines, `public` for the LB."""

    stack: str
    cloud: str
    topology: str
    demand: sizing.Demand
    choices: tuple[Placed, ...]
    balancer: Price
    public: tuple[FirewallRule, ...]
    firewall: tuple[FirewallRule, ...]


def topology(conversations: int) -> str:
    """The guide's: a single server below 100,000 conversations, a cluster from there on."""
    return "single" if conversations < SINGLE_SERVER_LIMIT else "cluster"


def plan(
    stack: str,
    catalog: Catalog,
    balancer: Price,
    regions: Sequence[str],
    conversations: int,
    messages: int = 10,
    admin_cidrs: tuple[str, ...] = (),
) -> ClusterPlan:
    """The cluster for `conversations` (of any number). Raises SettingsError where no location sells machines for it."""
    need = compare_need.need(max(conversations, SINGLE_SERVER_LIMIT), messages)
    placed = [choice for region in regions if (choice := _placed(stack, catalog, region, need.nodes))]
    if not placed:
        asks = "; ".join(f"{node.count} x {node.role} with {node.memory_mib} MiB" for node in need.nodes)
        remedy = f"needs partitioning, or other regions: {', '.join(regions)} sell no machines for {asks}"
        raise SettingsError([Problem(f"{PROJECT}:conversations", str(conversations), remedy)])
    ssh = FirewallRule("tcp", SSH_PORT, admin_cidrs, "ssh for administrators")
    return ClusterPlan(
        stack=stack,
        cloud=catalog.cloud,
        topology="cluster",
        demand=sizing.demand(need.conversations, messages),
        choices=tuple(placed),
        balancer=balancer,
        public=(
            FirewallRule("tcp", "443", ANYWHERE, "https"),
            FirewallRule("tcp", "80", ANYWHERE, "redirect to https, ACME"),
        ),
        firewall=(ssh,) if admin_cidrs and catalog.admin_ssh else (),
    )


def _placed(stack: str, catalog: Catalog, region: str, nodes: Sequence[NodeNeed]) -> Placed | None:
    """The cheapest types of `region` that satisfy every group; None where one has none."""
    types: dict[str, str] = {}
    members: list[Member] = []
    for need in nodes:
        ways = [(row, sizes) for row in catalog.server_types.values() if (sizes := _fits(row, need, catalog, region))]
        if not ways:
            return None
        row, sizes = min(ways, key=lambda way: (_each(way[0], way[1].gb, catalog, region), way[0].name))
        types[need.role] = row.name
        for index in range(need.count):
            number = len(members) + 1
            node = Node(naming.node(stack, number), number, ROLES[need.role])
            members.append(Member(node, need.role, f"10.0.1.{FIRST_ADDRESS[need.role] + index}", sizes.gb))
    return Placed(region, types, tuple(members))


@dataclass(frozen=True)
class _Volumes:
    """Sizes in GB of the volumes a machine needs; true even when it needs none."""

    gb: tuple[int, ...]


def _fits(row: ServerType, need: NodeNeed, catalog: Catalog, region: str) -> _Volumes | None:
    """The volumes with which a server type satisfies `need` in `region`; None when it does not."""
    enough = (
        region in row.monthly
        and row.arch == ARCHITECTURE
        and row.vcpus >= need.vcpus
        and row.memory_gb >= need.memory_gb
        and sizing.usable_mib(row.memory_gb) >= need.memory_mib
    )
    lacking = [max(0, need.disk_gb - row.disk_gb), need.volume_gb]
    step = compare.VOLUME_STEP_GB
    sizes = tuple(max(catalog.volume_min_gb, -(-size // step) * step) for size in lacking if size)
    return _Volumes(sizes) if enough and max(sizes, default=0) <= catalog.volume_max_gb else None


def _each(row: ServerType, volumes: Sequence[int], catalog: Catalog, region: str) -> Decimal:
    """What one machine with its volumes costs a month."""
    return row.monthly[region] + sum(volumes) * catalog.volume_at.get(region, catalog.volume_per_gb)


def monthly(made: ClusterPlan, placed: Placed, catalog: Catalog) -> Cost:
    """What the cluster costs a month at `placed`, without object storage and excess traffic."""
    per_gb = catalog.volume_at.get(placed.location, catalog.volume_per_gb)
    items = []
    for group, name in placed.types.items():
        members = [member for member in placed.members if member.group == group]
        items.append(Item(f"{group} {name}", len(members), catalog.server_types[name].monthly[placed.location]))
        for index, size in enumerate(members[0].volumes_gb):
            total = sum(member.volumes_gb[index] for member in members)
            items.append(Item(f"{len(members)} x {size} GB for {group}", total, per_gb))
    addresses = len(placed.members) + made.balancer.units
    items.append(Item("IPv4 address", addresses, catalog.primary_ipv4))
    items.append(Item(f"load balancer {made.balancer.name}", 1, made.balancer.monthly))
    return Cost(tuple(items), catalog.currency, catalog.as_of.isoformat())
