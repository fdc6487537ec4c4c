"""Every cloud obeys the same plan: what it registers, hides, opens, protects and gives out, under Pulumi's mocks."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pulumi
import pytest
import yaml

from infra import bootstrap, catalog, cost, guards, plan, program, resource_guards
from infra.config_reader import SettingsError
from infra.settings import parse
from tests.unit.infra import golden, mocked
from tests.unit.infra.mocked import Result

CLOUDS = tuple(mocked.CONFIGS)
USER_DATA = {
    "hetzner": ("Server", "userData"),
    "digitalocean": ("Droplet", "userData"),
    "aws": ("Instance", "userDataBase64"),
}
HOLDING_DATA = {
    "hetzner": {"Volume", "PrimaryIp"},
    "digitalocean": {"Volume", "ReservedIp", "SpacesBucket"},
    "aws": {"Volume", "Eip", "Bucket"},
}


@pytest.fixture(scope="module", params=CLOUDS)
def built(request: pytest.FixtureRequest) -> tuple[str, Result]:
    """Each cloud's program, run once, with everything optional."""
    return request.param, mocked.build(request.param, **golden.EVERYTHING)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_resources_are_the_golden_ones(cloud: str) -> None:
    assert golden.listing(cloud) == golden.path(cloud).read_text(), "review, then: python -m tests.unit.infra.golden"


def user_data(cloud: str, result: Result) -> bytes:
    """What cloud-init gets to see."""
    kind, name = USER_DATA[cloud]
    content: str = result.one(kind).inputs[name]
    return gzip.decompress(base64.b64decode(content)) if cloud == "aws" else content.encode()


def test_secrets_are_secret_wherever_they_go(built: tuple[str, Result]) -> None:
    cloud, result = built
    made = mocked.settings(cloud)
    secrets = {value for value in vars(made.secrets).values() if value} | {mocked.MADE_SECRET}
    kind, name = USER_DATA[cloud]
    assert name in result.one(kind).secret
    for row in result.rows:
        for key, value in row.inputs.items():
            if key not in row.secret:
                assert not [secret for secret in secrets if secret in mocked.texts(value)], (row.kind, row.name, key)


def test_what_the_machine_is_born_with(built: tuple[str, Result]) -> None:
    """Two secrets outside AWS, none there; the same files but for the plug that fetches them; within the limit."""
    cloud, result = built
    text = user_data(cloud, result)
    made, offer = mocked.settings(cloud), catalog.load(cloud)
    kind, name = USER_DATA[cloud]
    sent = result.one(kind).inputs[name]
    assert len(base64.b64decode(sent) if cloud == "aws" else sent.encode()) <= offer.user_data_limit
    expected = {
        "hetzner": {"5" * 64, "node-secret"}, "digitalocean": {"5" * 64, mocked.MADE_SECRET}, "aws": set(),
    }  # fmt: skip
    known = {value for key, value in vars(made.secrets).items() if value and key != "node_access_key"}
    assert {secret for secret in known | {mocked.MADE_SECRET} if secret.encode() in text} == expected[cloud]
    files = {row["path"].rsplit("/", 1)[-1]: row["content"] for row in yaml.safe_load(text)["write_files"]}
    assert ("plug.py" in files) == (cloud == "aws")
    agent = json.loads(files["agent.json"])
    assert (agent["stack"], agent["node"], agent["bucket"]["name"]) == ("test", "sekha-test-1", made.bucket.name)


def opened(cloud: str, result: Result) -> Iterator[tuple[str, str, str]]:
    """Everything that is let in: protocol, port ("": all of ICMP), IPv4 source."""
    if cloud == "hetzner":
        for rule in result.one("Firewall").inputs["rules"]:
            yield from ((rule["protocol"], rule.get("port", ""), source) for source in rule["sourceIps"])
    elif cloud == "digitalocean":
        for rule in result.one("Firewall").inputs["inboundRules"]:
            yield from ((rule["protocol"], rule.get("portRange", ""), source) for source in rule["sourceAddresses"])
    else:
        for row in result.of("SecurityGroupIngressRule"):
            assert row.inputs["fromPort"] == row.inputs["toPort"]
            port = int(row.inputs["fromPort"])
            yield row.inputs["ipProtocol"], "" if port == -1 else str(port), row.inputs["cidrIpv4"]


def test_nothing_is_public_but_the_service(built: tuple[str, Result]) -> None:
    cloud, result = built
    rules = {rule for rule in opened(cloud, result) if ":" not in rule[2]}
    public = {("tcp", "443", "0.0.0.0/0"), ("tcp", "80", "0.0.0.0/0"), ("icmp", "", "0.0.0.0/0")}
    ssh = set() if cloud == "aws" else {("tcp", "22", "203.0.113.7/32")}  # AWS: Session Manager
    assert rules == public | ssh


def test_what_holds_data_is_protected_and_only_that(built: tuple[str, Result]) -> None:
    cloud, result = built
    assert {row.kind for row in result.rows if row.request.protect} == HOLDING_DATA[cloud]
    kept = {row.kind for row in result.rows if row.request.retainOnDelete}
    assert kept == HOLDING_DATA[cloud] & {"SpacesBucket", "Bucket"}


def test_the_policy_packs_rules_find_nothing_to_say(built: tuple[str, Result]) -> None:
    """They judge what is registered, whoever wrote the program: they must know this cloud's types, and find it good."""
    _, result = built
    holding = [row for row in result.rows if row.token in resource_guards.DATA]
    assert holding
    assert all(row.request.protect for row in holding)
    assert any(row.token in resource_guards.MACHINES for row in result.rows)
    found = [opening for row in result.rows for opening in resource_guards.openings(row.token, row.inputs)]
    assert found
    assert not [opening for opening in found if resource_guards.forbidden(opening)]
    for row in result.rows:
        assert not resource_guards.unencrypted(row.token, row.inputs), row.name
        assert not resource_guards.unprotected(row.inputs), row.name


def test_the_successor_of_a_machine_waits_until_it_is_gone(built: tuple[str, Result]) -> None:
    cloud, result = built
    assert result.one(USER_DATA[cloud][0]).request.deleteBeforeReplace


SHARED_OUTPUTS = ("url", "address", "apiKey", "caFile", "release", "version", "stages")


@pytest.mark.parametrize("changes", [{}, {"domain": "sekha.example.com"}, {"adminCidrs": ["203.0.113.7/32"]}], ids=str)
def test_the_same_settings_give_the_same_outputs_on_every_cloud(
    changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {cloud: outputs_of(cloud, changes, monkeypatch) for cloud in CLOUDS}
    first = given["hetzner"]
    for found in given.values():
        assert list(found) == list(first)  # the same names, in the same order
        assert {name: found[name] for name in SHARED_OUTPUTS} == {name: first[name] for name in SHARED_OUTPUTS}
    assert {found["monthlyCost"].split()[1] for found in given.values()} == {"EUR", "USD"}


def outputs_of(cloud: str, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The stack's outputs, resolved, with a release that every cloud gets alike."""
    result = mocked.build(cloud, **changes)
    made, offer = mocked.settings(cloud, **changes), catalog.load(cloud)
    planned = plan.plan(made, offer)
    exported: dict[str, Any] = {}
    monkeypatch.setattr(pulumi, "export", exported.__setitem__)
    monkeypatch.setenv("SEKHA_CACHE", "/nonexistent")
    done: dict[str, Any] = {}

    def run() -> Any:
        price = cost.monthly(planned, planned.choices[0], offer)
        values = {"release": "r1", "version": "0.2.0", "stages": {"serving": 1.0}, "ca_pem": ""}
        release = SimpleNamespace(**{name: pulumi.Output.from_input(value) for name, value in values.items()})
        program.outputs(made, result.machine, price, cast(Any, release))
        return pulumi.Output.all(**exported).apply(done.update)

    with mocked.mocks(mocked.raw(cloud, **changes)):
        pulumi.runtime.test(run)()  # type: ignore[no-untyped-call]
    return {name: done[name] for name in exported}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [("regions", ["atlantis"], "unknown region; "), ("serverTypes", ["huge"], "unknown server type")],
)
def test_values_are_checked_against_the_recorded_lists(cloud: str, key: str, value: object, remedy: str) -> None:
    with pytest.raises(SettingsError, match=remedy):
        mocked.settings(cloud, **{key: value})


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_recorded_list_is_whole(cloud: str) -> None:
    offer = catalog.load(cloud)
    assert offer.image
    assert offer.source
    assert set(offer.preferred) <= set(offer.network_zones)
    assert offer.user_data_limit == {"hetzner": 32768, "digitalocean": 65536, "aws": 16384}[cloud]
    for machine in offer.server_types.values():
        assert set(machine.monthly) <= set(offer.network_zones), machine.name
        assert all(price > 0 for price in machine.monthly.values())
    # without regions in the config the preferred ones are taken, and they sell something that fits
    assert plan.plan(mocked.settings(cloud, regions=None), offer).choices


@pytest.mark.parametrize("cloud", CLOUDS)
def test_each_guard_rail_is_caught(cloud: str) -> None:
    offer = catalog.load(cloud)

    def caught(**changes: object) -> set[str]:
        made = mocked.settings(cloud, **changes)
        planned = plan.plan(made, offer)
        return {row.key for row in guards.check(made, planned, cost.monthly(planned, planned.choices[0], offer))}

    assert caught(monthlyBudget=1000) == set()
    assert caught(protect=False) == {"sekha:protect"}
    assert caught(monthlyBudget=1) == {"sekha:monthlyBudget"}
    assert caught(metricsCidrs=["0.0.0.0/0"]) == {"sekha:metricsCidrs"}
    assert "sekha:adminCidrs" in caught(adminCidrs=["0.0.0.0/0"])


def test_the_budget_is_in_euros_whatever_the_cloud_charges_in() -> None:
    offer = catalog.load("digitalocean")
    planned = plan.plan(mocked.settings("digitalocean"), offer)
    price = cost.monthly(planned, planned.choices[0], offer)  # in USD, which are worth less
    whole = int(price.total)
    assert guards.budget(mocked.settings("digitalocean", monthlyBudget=whole), price) == []


@pytest.mark.parametrize(
    ("cloud", "name", "value"),
    [("digitalocean", "bucketSecretKey", None), ("digitalocean", "stackKey", None), ("aws", "apiKey", None)],
)
def test_what_a_cloud_needs_is_asked_for(cloud: str, name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"sekha:{name} = missing"):
        mocked.settings(cloud, **{name: value})


def test_a_token_of_another_form_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"digitalocean:token = .* dop_v1_"):
        parse(mocked.raw("digitalocean") | {"digitalocean:token": "nonsense"}, "test", {})
    with pytest.raises(SettingsError, match="digitalocean:token = missing: set DIGITALOCEAN_TOKEN or"):
        parse({**mocked.raw("digitalocean"), "digitalocean:token": ""}, "test", {})


@pytest.mark.parametrize(
    ("zone", "domain", "good"),
    [
        ("example.com", "sekha.example.com", True),
        ("example.org", "sekha.example.com", False),
        ("example.com", "", False),
    ],
)
def test_the_dns_zone_is_the_domains(zone: str, domain: str, good: bool) -> None:
    if good:
        assert mocked.settings("aws", dnsZone=zone, domain=domain).dns_zone == zone
    else:
        with pytest.raises(SettingsError, match=r"sekha:dnsZone = .* is not the zone of sekha:domain"):
            mocked.settings("aws", dnsZone=zone, domain=domain)


def test_a_bucket_follows_from_cloud_and_region() -> None:
    bucket = mocked.settings("aws", regions=["eu-west-1"]).bucket
    assert (bucket.endpoint, bucket.region, bucket.addressing) == (
        "https://s3.eu-west-1.amazonaws.com", "eu-west-1", "virtual",
    )  # fmt: skip
    assert mocked.settings("digitalocean", regions=["nyc1", "nyc3"]).bucket.region == "nyc3"  # nyc1 has no Spaces
    with pytest.raises(SettingsError, match=r"sekha:bucket.region = missing"):
        mocked.settings("digitalocean", regions=["nyc1"])


def test_packed_user_data_is_the_same_for_the_same_text() -> None:
    packed = bootstrap.gzip(b"some text" * 100)
    assert packed == bootstrap.gzip(b"some text" * 100)
    assert gzip.decompress(packed) == b"some text" * 100


@pytest.mark.parametrize(("stack", "cloud"), [("prod-do", "digitalocean"), ("prod-aws", "aws")])
def test_the_example_stacks_are_good_within_their_budget_and_hold_no_secret(stack: str, cloud: str) -> None:
    text = (bootstrap.STAGE0.parents[1] / f"Pulumi.{stack}.yaml").read_text()
    tracked = {key.removeprefix("sekha:"): value for key, value in yaml.safe_load(text)["config"].items()}
    assert tracked.pop("cloud") == cloud
    made, offer = mocked.settings(cloud, **tracked), catalog.load(cloud)
    planned = plan.plan(made, offer)
    for choice in planned.choices[:2]:
        assert guards.check(made, planned, cost.monthly(planned, choice, offer)) == []
    assert "secure" not in text
    assert not {key for key in tracked if key.endswith("Key")}
