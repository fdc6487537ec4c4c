"""The program for a Docker engine: the same settings, plan and outputs; containers in place of machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pulumi

from infra import containers, images, release_bundle
from infra.catalog import Catalog
from infra.clouds import Placement
from infra.cost import Cost
from infra.plan import Plan
from infra.settings import Settings


def run(
    settings: Settings, offer: Catalog, plan: Plan, placement: Placement, price: Cost, cache: Path,
    keep_ca: Callable[[str], str],
) -> None:  # fmt: skip
    """Register the stack and export its outputs. `keep_ca` stores the authority's certificate and returns its path."""
    from infra.clouds.docker import DockerStack  # its SDK is imported for this cloud alone

    wheels = release_bundle.wheelhouse(cache)
    chosen = images.choose(settings.images, wheels)
    context = images.context(wheels, cache / "docker" / "context") if chosen.built else cache
    stack = containers.describe(plan, settings, offer, placement.choice, chosen)
    built = DockerStack(plan, stack, chosen, context)

    pulumi.export("url", f"https://{stack.host}")
    pulumi.export("address", settings.docker_address)
    pulumi.export("apiKey", pulumi.Output.secret(settings.secrets.api_key))
    pulumi.export("caFile", built.report.apply(lambda report: keep_ca(authority(report, stack.host))))
    pulumi.export("ssh", login(settings))
    pulumi.export("monthlyCost", f"{price.total} {price.currency}")
    pulumi.export("release", stack.release)
    pulumi.export("version", release_bundle.service_version(wheels))
    pulumi.export("stages", {})


def authority(report: str, host: str) -> str:
    """The authority's certificate from what `verify` printed, "" in a preview. Raises RunError without an answer."""
    if pulumi.runtime.is_dry_run():
        return ""
    start = report.find("{")
    try:
        answer = json.loads(report[start:].strip()) if start >= 0 else {}
    except ValueError:
        answer = {}
    if "health" not in answer:
        raise pulumi.RunError(f"https://{host} does not serve; the container verify said: {report.strip()[-500:]}")
    return str(answer["ca"])


def login(settings: Settings) -> str:
    """How to get to the machine that Docker runs on."""
    remote = settings.docker_host.removeprefix("ssh://")
    return f"ssh {remote}" if remote != settings.docker_host else "not needed: Docker runs on this machine"
