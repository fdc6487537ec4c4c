"""What a need (infra/compare_need.py) costs a month on each cloud, part by part, in its cheapest way. Pure.

Prices: infra/catalog_prices.yaml. What no plan of a cloud holds gets no price, but the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from infra import sizing
from infra.catalog_prices import DatabasePlan, Offer, Rate, ServerPlan, Source
from infra.compare_need import RELEASES_GB, Need, NodeNeed
from infra.cost import CENT, Item
from infra.plan import ARCHITECTURE

PARTS = ("server", "disk", "address", "load balancer", "database", "bucket", "backup", "egress")
VOLUME_STEP_GB = 10


@dataclass(frozen=True)
class Line:
    """One line of the bill: which of PARTS, what, how many at how much a month, and whose price."""

    part: str
    item: Item
    source: Source

    @property
    def total(self) -> Decimal:
        return self.item.total


@dataclass(frozen=True)
class Quote:
    """A cloud's cheapest way to satisfy `need`: role -> plan, and its bill. Without plans: `reason` says why not."""

    offer: Offer
    need: Need
    plans: tuple[tuple[str, ServerPlan], ...]
    lines: tuple[Line, ...]
    reason: str = ""

    @property
    def total(self) -> Decimal | None:
        """A month in the cloud's own currency; None where there is no price."""
        return None if self.reason else sum((line.total for line in self.lines), Decimal(0))

    def eur(self, rate: Rate) -> Decimal | None:
        return None if self.total is None else rate.eur(self.total, self.offer.currency)

    def part(self, name: str) -> Decimal:
        return sum((line.total for line in self.lines if line.part == name), Decimal(0))


def fits(plan: ServerPlan, node: NodeNeed) -> bool:
    """Whether `plan` can be ordered and has the processor and the memory that `node` needs (its disk can be added)."""
    return (
        plan.orderable
        and plan.arch == ARCHITECTURE
        and plan.vcpus >= node.vcpus
        and plan.memory_gb >= node.memory_gb
        and sizing.usable_mib(plan.memory_gb) >= node.memory_mib
    )


def volumes(offer: Offer, plan: ServerPlan, node: NodeNeed) -> list[int]:
    """Sizes in GB of the volumes that `node` on `plan` needs: what its own disk lacks, and the data's."""
    sizes = [max(0, node.disk_gb - plan.disk_gb), node.volume_gb]
    return [max(offer.volume.min_gb, -(-size // VOLUME_STEP_GB) * VOLUME_STEP_GB) for size in sizes if size]


def egress(offer: Offer, asked: Need, front: ServerPlan) -> Line:
    """Traffic out beyond what the cloud and the machines in front include."""
    included = offer.egress.included_gb + front.transfer_gb * asked.nodes[0].count
    beyond = max(0, asked.egress_gb - included)
    what = f"{asked.egress_gb} GB, {min(included, asked.egress_gb)} of them included"
    return Line("egress", Item(what, beyond, offer.egress.per_gb), offer.egress.source)


def node_lines(offer: Offer, node: NodeNeed, plan: ServerPlan) -> list[Line]:
    """Servers and volumes of `node` on `plan`."""
    lines = [Line("server", Item(f"{node.role} {plan.name}", node.count, plan.monthly), plan.source)]
    for size in volumes(offer, plan, node):
        item = Item(f"{node.count} x {size} GB for {node.role}", node.count * size, offer.volume.per_gb)
        lines.append(Line("disk", item, offer.volume.source))
    return lines


def _cheapest(
    offer: Offer, node: NodeNeed, extra: Callable[[ServerPlan], list[Line]]
) -> tuple[ServerPlan, list[Line]] | None:
    """The fitting plan whose lines cost least in all; of equal ones the larger, then the name decides."""
    ways = [(plan, node_lines(offer, node, plan) + extra(plan)) for plan in offer.plans if fits(plan, node)]
    ways = [way for way in ways if all(size <= offer.volume.max_gb for size in volumes(offer, way[0], node))]
    return min(ways, key=lambda way: (total(way[1]), -way[0].memory_gb, way[0].name), default=None)


def total(lines: Iterable[Line]) -> Decimal:
    return sum((line.total for line in lines), Decimal(0))


def quote(offer: Offer, asked: Need) -> Quote:
    """The cheapest plan of `offer` that satisfies `asked`, priced; without a price where no plan is large enough."""
    plans, lines = [], []
    for number, node in enumerate(asked.nodes):

        def extra(plan: ServerPlan, front: bool = number == 0) -> list[Line]:
            return [egress(offer, asked, plan)] if front else []

        best = _cheapest(offer, node, extra)
        if best is None:
            return Quote(offer, asked, (), (), _too_large(offer, node))
        plans.append((node.role, best[0]))
        lines += best[1]
    database = _database(offer, asked)
    if isinstance(database, str):
        return Quote(offer, asked, (), (), database)
    lines += [*_addresses(offer, asked), *database, *_bucket(offer, asked)]
    return Quote(offer, asked, tuple(plans), tuple(sorted(lines, key=lambda line: PARTS.index(line.part))))


def machine_backup(bought: Quote) -> Decimal:
    """What the cloud's own backups of all machines would cost on top: a share of the servers, or a price a GB."""
    rates = bought.offer.machine_backup
    share = bought.part("server") * rates.get("percent_of_server", Decimal(0)) / 100
    stored = sum(line.item.quantity for line in bought.lines if line.part == "disk") * rates.get("per_gb", Decimal(0))
    return (share + stored).quantize(CENT, ROUND_HALF_UP)


def _too_large(offer: Offer, node: NodeNeed) -> str:
    largest = max((plan for plan in offer.plans if plan.orderable), key=lambda plan: (plan.memory_gb, plan.name))
    return (
        f"needs partitioning: a {node.role} needs {node.memory_mib} MiB of memory and a volume of {node.volume_gb} GB; "
        f"the largest plan in the catalog, {largest.name}, has {sizing.usable_mib(largest.memory_gb)} MiB usable and "
        f"a volume at most {offer.volume.max_gb} GB"
    )


def _addresses(offer: Offer, asked: Need) -> list[Line]:
    balancer = offer.load_balancer
    cluster = asked.topology == "cluster"
    count = sum(node.count for node in asked.nodes) + (balancer.units if cluster else 0)
    what = balancer.name if cluster else "none: one server"
    return [
        Line("address", Item(f"{count} x IPv4", count, offer.address.monthly), offer.address.source),
        Line("load balancer", Item(what, int(cluster), balancer.monthly), balancer.source),
    ]


def _database(offer: Offer, asked: Need) -> list[Line] | str:
    """The managed database's lines; one of nothing when PostgreSQL runs on the machines; or why there is no price."""
    if not asked.managed:
        return [Line("database", Item("PostgreSQL on the machines", 0, Decimal(0)), offer.plans[0].source)]
    if not offer.databases:
        return f"{offer.title} sells no managed PostgreSQL"
    copies = 1 if asked.topology == "single" else 2  # a standby costs what the primary does
    ways = [_database_lines(plan, asked, copies) for plan in offer.databases]
    fitting = [way for way in ways if way]
    if not fitting:
        return f"needs partitioning: no managed PostgreSQL holds {asked.database_mib} MiB and {asked.database_gb} GB"
    return min(fitting, key=total)


def _database_lines(plan: DatabasePlan, asked: Need, copies: int) -> list[Line]:
    beyond = max(0, asked.database_gb - plan.disk_gb)
    if sizing.usable_mib(plan.memory_gb) < asked.database_mib or (beyond and plan.per_gb is None):
        return []
    lines = [Line("database", Item(f"{copies} x {plan.name}", copies, plan.monthly), plan.source)]
    if beyond:
        item = Item(f"{copies} x {beyond} GB", copies * beyond, plan.per_gb or Decimal(0))
        lines.append(Line("database", item, plan.source))
    return lines


def _bucket(offer: Offer, asked: Need) -> list[Line]:
    """The store's minimum and the releases; then the backups, as far as they are not included."""
    store = offer.bucket
    releases = max(0, RELEASES_GB - store.included_gb)
    backups = max(0, RELEASES_GB + asked.backup_gb - store.included_gb) - releases
    lines = [
        Line("bucket", Item(f"{RELEASES_GB} GB of releases", releases, store.per_gb), store.source),
        Line("backup", Item(f"{asked.backup_gb} GB of backups", backups, store.per_gb), store.source),
    ]
    if store.monthly:
        lines.insert(0, Line("bucket", Item("object storage, minimum", 1, store.monthly), store.source))
    return lines
