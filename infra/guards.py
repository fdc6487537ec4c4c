"""What must never happen, said once. Each guard returns the problems it sees; program, policy/ and ci/ call it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from infra import catalog_prices
from infra.checks import LOOPBACK
from infra.config_reader import PROJECT, Problem
from infra.cost import Cost
from infra.plan import FirewallRule, Plan
from infra.settings import Settings

PUBLIC_PORTS = frozenset({"80", "443"})
ADMIN_PORTS = frozenset({"22"})
# Wider than any network one administers from; catches 0.0.0.0/0, ::/0 and their halves.
WIDEST = {4: 8, 6: 16}


def too_wide(network: str) -> bool:
    """Whether a CIDR is (nearly) the whole internet."""
    parsed = ipaddress.ip_network(network)
    return parsed.prefixlen < WIDEST[parsed.version]


def admin_networks(settings: Settings) -> list[Problem]:
    """SSH and metrics are never open to the internet."""
    return [
        Problem(f"{PROJECT}:{key}", network, f"is (nearly) the whole internet; name the networks you use ({purpose})")
        for key, purpose, networks in (
            ("adminCidrs", "SSH", settings.admin_cidrs),
            ("metricsCidrs", "/metrics", settings.metrics_cidrs),
        )
        for network in networks
        if too_wide(network)
    ]


def firewall(rules: Iterable[FirewallRule]) -> list[Problem]:
    """Only 80 and 443 are public, 22 has narrow sources, and nothing else (database, vectors) is open at all."""
    problems = []
    for rule in rules:
        if rule.protocol == "icmp" or rule.port in PUBLIC_PORTS:
            continue
        if rule.port not in ADMIN_PORTS:
            problems.append(Problem("firewall", f"{rule.protocol}/{rule.port}", "only 22, 80 and 443 may be open"))
        elif any(too_wide(source) for source in rule.sources):
            problems.append(Problem("firewall", f"{rule.port} from {rule.sources}", "SSH must have narrow sources"))
    return problems


def protection(settings: Settings) -> list[Problem]:
    """What holds data is protected wherever the machines are real: not on the local cloud, whose API is on loopback."""
    local = settings.cloud == "hetzner" and urlsplit(settings.hcloud_endpoint).hostname in LOOPBACK
    if settings.protect or local:
        return []
    return [
        Problem(f"{PROJECT}:protect", "false", "only a stack on the local cloud may go unprotected; set it to true")
    ]


def budget(settings: Settings, cost: Cost) -> list[Problem]:
    """The plan costs no more than the operator allows."""
    if not settings.monthly_budget:
        return []
    euros = catalog_prices.rate().eur(cost.total, cost.currency)
    if euros <= settings.monthly_budget:
        return []
    told = f"{cost}" if cost.currency == "EUR" else f"{euros} EUR: {cost}"
    remedy = f"the plan costs {told}; raise the budget, lower conversations or choose cheaper serverTypes"
    return [Problem(f"{PROJECT}:monthlyBudget", f"{settings.monthly_budget} EUR", remedy)]


def check(settings: Settings, plan: Plan, cost: Cost) -> list[Problem]:
    """All guards that can speak before a resource is touched."""
    return [
        *admin_networks(settings), *firewall(plan.firewall), *protection(settings), *budget(settings, cost),
    ]  # fmt: skip
