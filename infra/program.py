"""What `pulumi up` runs: decide, refuse, build, release, say. Everything is refused before a resource is registered."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from pathlib import Path

import pulumi

from infra import (
    bootstrap,
    catalog,
    catalog_prices,
    clouds,
    compare_stack,
    cost,
    guards,
    keys,
    plan,
    program_docker,
    release,
    release_bundle,
    release_secrets,
)
from infra.bucket import Bucket
from infra.catalog import Catalog
from infra.clouds import CloudError, Machine, Placement
from infra.config_reader import PROJECT
from infra.cost import Cost
from infra.plan import Plan
from infra.restore_settings import SQLITE
from infra.settings import DOCKER, Settings, SettingsError, parse

COST_BEFORE = "SEKHA_COST_BEFORE"
"""What the stack cost after the last up, e.g. "5.06 EUR"; ops/ sets it, so that a preview can tell the difference."""


def main() -> None:
    """Run for the current stack. Raises pulumi.RunError (shown without a traceback) when the config can't be used."""
    config = pulumi.runtime.config.CONFIG.get()
    try:
        if config.get(f"{PROJECT}:compare") == "true":
            compare_stack.run(pulumi.get_stack(), config)
            return
        settings, offer, made, placement, price = decide(pulumi.get_stack(), config)
        stage0 = None if settings.cloud == DOCKER else bootstrap.Stage0(settings, made.node.name, offer)
    except (SettingsError, CloudError, bootstrap.TooLargeError) as error:
        raise pulumi.RunError(str(error)) from None
    for topic, line in plan.describe(made, placement.choice, placement.why).items():
        pulumi.log.info(f"{topic}: {line}")
    pulumi.log.info(f"cost: {price}{cost.since(price, os.environ.get(COST_BEFORE, ''))}")
    for note in (*placement.notes, *price_warnings(settings)):
        pulumi.log.warn(note)
    if stage0 is None:
        program_docker.run(settings, offer, made, placement, price, cache(), lambda ca_pem: keep_ca(settings, ca_pem))
        return
    machine = clouds.load(settings.cloud).build(made, placement, offer, stage0)
    outputs(settings, machine, price, roll_out(settings, offer, made, placement, machine))


def decide(stack: str, config: Mapping[str, str]) -> tuple[Settings, Catalog, Plan, Placement, Cost]:
    """Everything that is settled before a resource exists. Raises SettingsError or CloudError."""
    settings = parse(config, stack, os.environ, encrypted=secret_keys())
    offer = catalog.load(settings.cloud)
    made = plan.plan(settings, offer)
    placement = clouds.load(settings.cloud).place(made, settings, offer)
    price = cost.monthly(made, placement.choice, offer)
    if problems := guards.check(settings, made, price):
        raise SettingsError(problems)
    return settings, offer, made, placement, price


def price_warnings(settings: Settings) -> list[str]:
    """What to be careful about in the prices of the stack's cloud: changed since, or older than catalogMaxAgeDays."""
    if settings.cloud not in catalog_prices.priced():
        return []
    offer, today = catalog_prices.load(settings.cloud), datetime.date.today()
    found = []
    if offer.superseded and offer.superseded[0] <= today:
        found.append(f"{offer.title}: since {offer.superseded[0]}: {offer.superseded[1]}")
    ages = [(today - source.as_of).days for source in offer.sources()]
    limit = settings.catalog_max_age_days
    if old := [age for age in ages if age > limit]:
        found.append(
            f"{offer.title}: {len(old)} of {len(ages)} prices are {min(old)} to {max(old)} days old "
            f"(catalogMaxAgeDays: {limit}); make refresh-prices renews them"
        )
    return found


def secret_keys() -> set[str]:
    """Full keys of the config that the stack's file holds encrypted."""
    return set(pulumi.runtime.config.get_config_secret_keys_env())


def roll_out(settings: Settings, offer: Catalog, made: Plan, placement: Placement, machine: Machine) -> release.Release:
    """Release of the machine, and the bucket where the cloud did not make it."""
    place, secrets = settings.bucket, settings.secrets
    needed = list(machine.ready)
    if not machine.own_bucket:
        principal = place.node_principal or secrets.node_access_key
        needed.append(Bucket(settings.stack, place.endpoint, place.name, principal, [machine.node], settings.protect))
    variables = plan.role_variables(made, settings, offer, placement.choice)
    wheels = release_bundle.wheelhouse(cache())
    programs = [release_bundle.litestream()] if settings.database == SQLITE else []

    def bundle(known: list[str]) -> release_bundle.Bundle:
        address, device = known
        result = release_bundle.build(
            {
                **variables,
                "public_ipv4": address,
                "data_device": device,
                "api_key_hashes": [keys.api_key_hash(secrets.api_key)],
                "service_version": release_bundle.service_version(wheels),
            },
            wheels,
            made.node.roles,
            sealed=sealed(settings),
            programs=programs,
        )
        release.stage_blobs(result, release.blob_folder(settings.stack))
        return result

    return release.Release(
        machine.node,
        machine.instance_id,
        machine.address,
        machine.data_device,
        settings.domain,
        pulumi.Output.all(machine.address, machine.data_device).apply(bundle),
        keys.public_key(secrets.signing_key),
        pulumi.ResourceOptions(depends_on=needed),
    )


def sealed(settings: Settings) -> bytes:
    """What is secret on the machine and not in user-data, encrypted with the stack key; b"" where there is nothing."""
    carried = dict(settings.backups.source_secrets)
    return release_secrets.encrypt(carried, settings.secrets.stack_key) if carried else b""


def cache() -> Path:
    """The folder for everything generated."""
    return release.blob_folder("").parent.parent


def keep_ca(settings: Settings, ca_pem: str) -> str:
    """Store the certificate of the stack's own authority in its folder; the file's path, "" without a certificate."""
    if not ca_pem:
        return ""
    ca_file = Path(release.blob_folder(settings.stack)).parent / "ca.pem"
    if not pulumi.runtime.is_dry_run():
        ca_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        ca_file.write_text(ca_pem)
    return str(ca_file)


def outputs(settings: Settings, machine: Machine, price: Cost, made: release.Release) -> None:
    """Export what docs/configuration.md lists."""
    pulumi.export("url", machine.address.apply(lambda address: f"https://{settings.domain or address}"))
    pulumi.export("address", machine.address)
    pulumi.export("apiKey", pulumi.Output.secret(settings.secrets.api_key))
    pulumi.export("caFile", made.ca_pem.apply(lambda ca_pem: keep_ca(settings, ca_pem)))
    pulumi.export("ssh", machine.login or machine.address.apply(lambda address: ssh_command(settings, address)))
    pulumi.export("monthlyCost", f"{price.total} {price.currency}")
    pulumi.export("release", made.release)
    pulumi.export("version", made.version)
    pulumi.export("stages", made.stages)


def ssh_command(settings: Settings, address: str) -> str:
    """How to log in, or how to make that possible."""
    if settings.admin_cidrs and settings.ssh_public_keys:
        return f"ssh root@{address}"
    lacking = [
        name
        for name, value in (("adminCidrs", settings.admin_cidrs), ("sshPublicKeys", settings.ssh_public_keys))
        if not value
    ]
    wanted = " and ".join(f"sekha:{name}" for name in lacking)
    return f"closed: set {wanted} in Pulumi.{settings.stack}.yaml and run make up STACK={settings.stack}"
