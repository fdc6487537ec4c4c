"""The two programs that `make bench-preview` compares: one resource of a cloud's SDK, and a single server of the plan.

Settings, planning, guards and user-data are the real ones; the placement is given, because it asks the cloud's API.
`python -m bench.preview_program CLOUD one|full` runs one under Pulumi's mocks.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pulumi

REGIONS = {"hetzner": "fsn1", "digitalocean": "fra1", "aws": "eu-central-1"}
STACK = "bench"


def config(cloud: str, signing_key: str) -> dict[str, str]:
    """The stack's config: full key -> text. Its secrets are made up."""
    place = f'{{"name": "sekha-bench", "endpoint": "https://s3.example.com", "region": "{REGIONS[cloud]}"'
    keys = ("bucketAccessKey", "bucketSecretKey", "nodeAccessKey", "nodeSecretKey")
    return {
        "sekha:cloud": cloud,
        "sekha:regions": f'["{REGIONS[cloud]}"]',
        "sekha:bucket": place + ', "addressing": "virtual"}',
        "sekha:apiKey": "sk-sekha-" + "a" * 32,
        "sekha:stackKey": "5" * 64,
        "sekha:signingKey": signing_key,
        **{f"sekha:{key}": key for key in keys},
        "hcloud:token": "t" * 64,
        "digitalocean:token": "dop_v1_" + "0" * 64,
    }


def one(cloud: str) -> None:
    """A private network, and nothing else."""
    if cloud == "hetzner":
        hcloud = importlib.import_module("pulumi_hcloud")
        hcloud.Network("network", name="bench", ip_range="10.0.0.0/16")
    elif cloud == "digitalocean":
        digitalocean = importlib.import_module("pulumi_digitalocean")
        digitalocean.Vpc("network", name="bench", region="fra1")
    else:
        aws = importlib.import_module("pulumi_aws")
        aws.ec2.Vpc("network", cidr_block="10.0.0.0/16")


def full(cloud: str, raw: Mapping[str, str]) -> None:
    """A single server with everything that the plan wants, up to the release."""
    from infra import bootstrap, catalog, clouds, cost, guards, plan
    from infra.settings import SettingsError, parse

    settings, offer = parse(raw, STACK, {}), catalog.load(cloud)
    planned = plan.plan(settings, offer)
    choice = planned.choices[0]
    if problems := guards.check(settings, planned, cost.monthly(planned, choice, offer)):
        raise SettingsError(problems)
    placement = clouds.Placement(choice, "given", zone=f"{choice.location}a", image="ami-0123456789abcdef0")
    stage0 = bootstrap.Stage0(settings, planned.node.name, offer)
    machine = clouds.load(cloud).build(planned, placement, offer, stage0)
    pulumi.export("address", machine.address)


class Mocks(pulumi.runtime.Mocks):
    """Answers as an engine without a cloud would: what was asked for, and an id."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return "1", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


def under_mocks(program: Callable[[], None], raw: Mapping[str, str]) -> None:
    """Run a program to its end."""
    pulumi.runtime.set_mocks(Mocks(), project="sekha", stack=STACK)
    pulumi.runtime.set_all_config(dict(raw), [])
    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    name, which = sys.argv[1:]
    if which == "one":
        under_mocks(lambda: one(name), {})
    else:
        from infra.keys import generate_signing_key

        given = config(name, generate_signing_key())
        under_mocks(lambda: full(name, given), given)
