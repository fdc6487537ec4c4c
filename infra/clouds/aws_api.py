"""Asking AWS before anything is registered: where the stack already is, what is offered where, which image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from infra import naming
from infra.catalog import Catalog
from infra.clouds import CloudError, Placement, placing
from infra.plan import Choice, Plan
from infra.settings import Settings

DEBIAN = "136693071363"  # the account that publishes Debian's official images (wiki.debian.org/Cloud/AmazonEC2Image)
LIVING = ["pending", "running", "stopping", "stopped"]

Clients = Callable[[str, str], Any]  # service and region -> boto3 client, which is untyped but for S3


def clients(service: str, region: str) -> Any:
    """A boto3 client with the operator's own credentials (environment, profile, single sign-on)."""
    import boto3
    from botocore.config import Config

    brief = Config(connect_timeout=5, read_timeout=20, retries={"max_attempts": 3, "mode": "standard"})
    return boto3.client(service, region_name=region, config=brief)  # type: ignore[call-overload]


def place(plan: Plan, settings: Settings, catalog: Catalog, make: Clients = clients) -> Placement:
    """The placement of `plan`: where an instance or volume of this stack exists, there, with its zone and image; else
    the first region and zone that offer the type. Raises CloudError, also when credentials or the DNS zone lack."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return _place(plan, make, settings)
    except (BotoCoreError, ClientError) as error:
        raise CloudError(
            f"AWS refused or can't be reached ({error}): set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, to credentials that may manage EC2, S3, IAM, SSM and CloudWatch"
        ) from error


def _place(plan: Plan, make: Clients, settings: Settings) -> Placement:
    regions = dict.fromkeys(choice.location for choice in plan.choices)
    servers, volumes = [], []
    for region in regions:
        ec2 = make("ec2", region)
        servers += [(region, row) for row in _servers(ec2, plan.stack)]
        volumes += [(region, row) for row in _volumes(ec2, plan.stack)]
        if servers or volumes:
            break
    server = Choice(servers[0][0], servers[0][1]["InstanceType"]) if servers else None
    at = volumes[0][0] if volumes else None
    home = (server.location if server else None) or at
    searched = [home] if home else list(regions)
    zones = dict(_offers(plan, searched, make))
    choice, why = placing.choose(plan, server, at, dict.fromkeys(zones))
    known = zones.get(choice, [])
    zone = volumes[0][1]["AvailabilityZone"] if volumes else ""
    zone = zone or (servers[0][1]["Placement"]["AvailabilityZone"] if servers else "")
    if zone and known and zone not in known:
        raise CloudError(
            f"{choice.server_type} is not offered in zone {zone}, where the volume is; change sekha:serverTypes"
        )
    return Placement(
        choice=choice,
        why=why,
        zone=zone or known[0],
        image=servers[0][1]["ImageId"] if servers else _image(make("ec2", choice.location), plan.image),
        dns_zone_id=_dns_zone(make("route53", choice.location), plan.dns_zone) if plan.dns_zone else "",
        adopt_bucket=_there(make("s3", plan.bucket.region), plan.bucket.name),
    )


def _stack(stack: str) -> dict[str, Any]:
    return {"Name": f"tag:{naming.STACK_LABEL}", "Values": [stack]}


def _servers(ec2: Any, stack: str) -> list[dict[str, Any]]:
    states = {"Name": "instance-state-name", "Values": LIVING}
    pages = ec2.get_paginator("describe_instances").paginate(Filters=[_stack(stack), states])
    return [row for page in pages for group in page["Reservations"] for row in group["Instances"]]


def _volumes(ec2: Any, stack: str) -> list[dict[str, Any]]:
    """The stack's data volume, by name: a root disk may carry the stack's tag, too."""
    name = {"Name": "tag:Name", "Values": [naming.resource(stack, "data")]}
    pages = ec2.get_paginator("describe_volumes").paginate(Filters=[_stack(stack), name])
    return [row for page in pages for row in page["Volumes"]]


def _offers(plan: Plan, regions: list[str], make: Clients) -> Iterator[tuple[Choice, list[str]]]:
    """What of the plan is offered in `regions`, each with its zones in order."""
    names = sorted({choice.server_type for choice in plan.choices})
    for region in regions:
        pages = make("ec2", region).get_paginator("describe_instance_type_offerings")
        found: dict[str, list[str]] = {}
        asked = [{"Name": "instance-type", "Values": names}]
        for page in pages.paginate(LocationType="availability-zone", Filters=asked):
            for row in page["InstanceTypeOfferings"]:
                found.setdefault(row["InstanceType"], []).append(row["Location"])
        for name, zones in found.items():
            yield Choice(region, name), sorted(zones)


def _image(ec2: Any, name: str) -> str:
    """Debian's newest image of this name; a machine that exists keeps its own, because another would replace it."""
    rows = ec2.describe_images(Owners=[DEBIAN], Filters=[{"Name": "name", "Values": [f"{name}-*"]}])["Images"]
    if not rows:
        raise CloudError(
            f"AWS has no image {name}-* of account {DEBIAN} (Debian) here; change it in infra/catalog.yaml"
        )
    newest: str = max(rows, key=lambda row: row["CreationDate"])["ImageId"]
    return newest


def _dns_zone(route53: Any, name: str) -> str:
    rows = route53.list_hosted_zones_by_name(DNSName=f"{name}.", MaxItems="5")["HostedZones"]
    for row in rows:
        if row["Name"] == f"{name}." and not row["Config"]["PrivateZone"]:
            return str(row["Id"]).removeprefix("/hostedzone/")
    raise CloudError(
        f"sekha:dnsZone = {name}: the account has no such public hosted zone; make it in Route 53, or leave dnsZone "
        "empty and make the record where the domain's DNS is"
    )


def _there(s3: Any, bucket: str) -> bool:
    """Whether the bucket exists and is ours (a stack made anew, or from nothing but its backups, takes it over)."""
    from botocore.exceptions import ClientError

    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            return False
        if status in (301, 403):
            raise CloudError(
                f"sekha:bucket.name = {bucket}: somebody else has a bucket of this name, or ours is in another region; "
                "choose another name (names are shared by all customers)"
            ) from None
        raise
    return True
