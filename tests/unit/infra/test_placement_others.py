"""Placement on DigitalOcean and AWS: what exists wins, else what is offered; what lacks is named before anything."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from infra import catalog, plan
from infra.clouds import CloudError, Placement, aws_api, digitalocean_api
from infra.plan import Choice
from tests.unit.infra import mocked

Rows = list[dict[str, Any]]
SIZES: Rows = [
    {"slug": name, "regions": ["fra1", "ams3"], "available": True, "price_monthly": price}
    for name, price in (("s-2vcpu-4gb", 24.0), ("s-4vcpu-8gb", 48.0))
]


def digitalocean(answers: dict[str, Any], status: int = 200, **changes: object) -> Placement:
    """Ask a made-up API: path -> rows."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v2/")
        if path not in ("droplets", "volumes", "sizes", "account/keys"):
            return httpx.Response(200 if path in answers else 404, json={"found": path})
        if path == "droplets":
            assert request.url.params["tag_name"] == "sekha-stack:test"
        kind = "ssh_keys" if path == "account/keys" else path
        return httpx.Response(status, json={kind: answers.get(path, [])})

    made, offer = (
        mocked.settings("digitalocean", **{"regions": ["fra1", "ams3"], **changes}),
        catalog.load("digitalocean"),
    )
    return digitalocean_api.place(plan.plan(made, offer), made, offer, httpx.MockTransport(answer))


ALL = {"sizes": SIZES, "images/debian-13-x64": True}


def test_digitalocean_first_orderable() -> None:
    assert digitalocean(ALL).choice == Choice("fra1", "s-2vcpu-4gb")
    only = [{**SIZES[1], "regions": ["ams3"]}]
    assert digitalocean({**ALL, "sizes": only}).choice == Choice("ams3", "s-4vcpu-8gb")


def test_digitalocean_stays_where_it_is() -> None:
    droplet = {"region": {"slug": "ams3"}, "size_slug": "s-4vcpu-8gb"}
    assert digitalocean({**ALL, "droplets": [droplet]}).choice == Choice("ams3", "s-4vcpu-8gb")
    volumes = [
        {"region": {"slug": "fra1"}, "tags": ["sekha-stack:other"]},
        {"region": {"slug": "ams3"}, "tags": ["sekha-stack:test"]},
    ]
    found = digitalocean({**ALL, "volumes": volumes})
    assert (found.choice.location, found.why) == ("ams3", "where its volume is")


def test_digitalocean_says_what_lacks() -> None:
    with pytest.raises(CloudError, match="no image 'debian-13-x64' any more"):
        digitalocean({"sizes": SIZES})
    with pytest.raises(CloudError, match=r"dnsZone = example.com: the account has no such domain"):
        digitalocean(ALL, domain="a.example.com", dnsZone="example.com")
    assert digitalocean({**ALL, "domains/example.com": True}, domain="a.example.com", dnsZone="example.com")
    with pytest.raises(CloudError, match=r"refused the token \(401\)"):
        digitalocean(ALL, status=401)
    with pytest.raises(CloudError, match="none of these can be ordered now"):
        digitalocean({**ALL, "sizes": []})


def test_digitalocean_keys_of_the_account_and_prices() -> None:
    keys = [
        {"id": 7, "name": "me", "public_key": "ssh-ed25519 AAAAone me"},
        {"id": 8, "name": "sekha-test-admin-1", "public_key": "ssh-ed25519 AAAAtwo"},
    ]
    dearer = [{**SIZES[0], "price_monthly": 30}]
    found = digitalocean({**ALL, "account/keys": keys, "sizes": dearer})
    assert found.known_ssh_keys == {"ssh-ed25519 AAAAone": 7}
    assert "costs 30.00 USD a month today, not 24" in found.notes[0]


def refused(status: int) -> ClientError:
    """S3's answer to HEAD of a bucket: no body, a status only."""
    answer: Any = {"ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "HeadBucket")


class Aws:
    """Made-up boto3 clients: what they answer by operation."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {
            "describe_instances": {"Reservations": []}, "describe_volumes": {"Volumes": []},
            "describe_instance_type_offerings": {"InstanceTypeOfferings": offerings("eu-central-1a", "eu-central-1b")},
            "describe_images": {"Images": [
                {"ImageId": "ami-old", "CreationDate": "2025-08-01"},
                {"ImageId": "ami-new", "CreationDate": "2025-11-01"},
            ]},
            "head_bucket": refused(404),
            "list_hosted_zones_by_name": {"HostedZones": [
                {"Name": "example.com.", "Id": "/hostedzone/Z9", "Config": {"PrivateZone": False}},
            ]},
            **answers,
        }  # fmt: skip

    def __call__(self, service: str, region: str) -> Aws:
        return self

    def get_paginator(self, operation: str) -> Any:
        return type("Pages", (), {"paginate": lambda _, **query: [getattr(self, operation)(**query)]})()

    def __getattr__(self, operation: str) -> Any:
        def call(**query: Any) -> Any:
            answer = self.answers[operation]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def place(self, **changes: object) -> Placement:
        made, offer = mocked.settings("aws", **changes), catalog.load("aws")
        return aws_api.place(plan.plan(made, offer), made, offer, self)


def offerings(*zones: str) -> Rows:
    return [{"InstanceType": name, "Location": zone} for name in ("t3a.medium", "t3.large") for zone in zones]


def test_aws_first_offered_zone_and_newest_image() -> None:
    found = Aws().place()
    assert (str(found.choice), found.zone, found.image) == ("t3a.medium in eu-central-1", "eu-central-1a", "ami-new")
    assert found.adopt_bucket is False


def test_aws_stays_with_its_volume_and_machine() -> None:
    volume = {"Volumes": [{"AvailabilityZone": "eu-central-1b"}]}
    assert Aws(describe_volumes=volume).place().zone == "eu-central-1b"
    machine = {
        "InstanceType": "t3.large", "ImageId": "ami-old", "Placement": {"AvailabilityZone": "eu-central-1b"},
    }  # fmt: skip
    found = Aws(describe_volumes=volume, describe_instances={"Reservations": [{"Instances": [machine]}]}).place()
    # not the newer image: that would replace the machine
    assert (found.choice.server_type, found.image, found.why) == ("t3.large", "ami-old", "where its server is")


def test_aws_takes_over_its_bucket_and_refuses_somebodys() -> None:
    assert Aws(head_bucket={}).place().adopt_bucket is True
    with pytest.raises(CloudError, match=r"bucket.name = sekha-test-aws: somebody else"):
        Aws(head_bucket=refused(403)).place()


def test_aws_says_what_lacks() -> None:
    with pytest.raises(CloudError, match=r"AWS refused or can't be reached .* AWS_PROFILE"):
        Aws(describe_instances=NoCredentialsError()).place()
    with pytest.raises(CloudError, match=r"no image debian-13-amd64-\*"):
        Aws(describe_images={"Images": []}).place()
    with pytest.raises(CloudError, match="none of these can be ordered now"):
        Aws(describe_instance_type_offerings={"InstanceTypeOfferings": []}).place()
    with pytest.raises(CloudError, match=r"t3a.medium is not offered in zone eu-central-1c"):
        Aws(describe_volumes={"Volumes": [{"AvailabilityZone": "eu-central-1c"}]}).place()
    with pytest.raises(CloudError, match=r"dnsZone = example.com: the account has no such public hosted zone"):
        Aws(list_hosted_zones_by_name={"HostedZones": []}).place(domain="a.example.com", dnsZone="example.com")
    assert Aws().place(domain="a.example.com", dnsZone="example.com").dns_zone_id == "Z9"


def test_the_prices_of_aws_follow_the_region() -> None:
    machine = catalog.load("aws").server_types["t3.large"]
    assert machine.monthly["us-east-1"] == Decimal("60.74")  # 0.0832 x 730
    assert machine.monthly["eu-central-1"] == Decimal("70.08")  # 0.0960 x 730
