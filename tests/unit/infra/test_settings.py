"""Bad config is refused with key, value and remedy; all of it at once; and good config comes out typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from infra import restore_settings
from infra import settings as module
from infra.settings import SettingsError, parse
from tests.unit.infra import samples

REPO = Path(__file__).parents[3]

# key and value as set; the key, the value as shown and the remedy of the message
BAD: list[tuple[str, object, str, str, str]] = [
    ("cloud", "hetznr", "sekha:cloud", "hetznr", "did you mean 'hetzner'"),
    ("regions", ["fsn2"], "sekha:regions[0]", "fsn2", "did you mean 'fsn1'"),
    ("regions", "fsn1", "sekha:regions", "fsn1", "must be a list of strings"),
    ("serverTypes", ["cx34"], "sekha:serverTypes[0]", "cx34", "known: "),
    ("conversations", -5, "sekha:conversations", "-5", "at least 1"),
    ("conversations", 0, "sekha:conversations", "0", "at least 1"),
    ("conversations", 10**12, "sekha:conversations", "1000000000000", "from 1 to 99999"),
    ("conversations", 100_000, "sekha:conversations", "100000", "needs a cluster"),
    ("conversations", "many", "sekha:conversations", "many", "whole number"),
    ("messagesPerConversation", 0, "sekha:messagesPerConversation", "0", "from 1 to 1000 messages"),
    ("adminCidrs", ["10.0.0.1/8"], "sekha:adminCidrs[0]", "10.0.0.1/8", "write 10.0.0.0/8"),
    ("adminCidrs", ["203.0.113.7"], "sekha:adminCidrs[0]", "203.0.113.7", "write 203.0.113.7/32"),
    ("adminCidrs", ["office"], "sekha:adminCidrs[0]", "office", "ADDRESS/BITS"),
    ("adminCidrs", ["10.0.0.0/33"], "sekha:adminCidrs[0]", "10.0.0.0/33", "ADDRESS/BITS"),
    ("metricsCidrs", ["2001:db8::1"], "sekha:metricsCidrs[0]", "2001:db8::1", "/128"),
    ("domain", "https://sekha.example.com", "sekha:domain", "https://sekha.example.com", "no scheme"),
    ("domain", "sekha", "sekha:domain", "sekha", "like|write sekha.example.com"),
    ("domain", "-a.example.com", "sekha:domain", "-a.example.com", "write sekha.example.com"),
    ("domain", "198.51.100.1", "sekha:domain", "198.51.100.1", "write sekha.example.com"),
    ("domain", "*.example.com", "sekha:domain", "*.example.com", "wildcard"),
    ("acmeEmail", "me", "sekha:acmeEmail", "me", "e-mail address"),
    ("sshPublicKeys", ["ssh-dss AAAA"], "sekha:sshPublicKeys[0]", "ssh-dss AAAA", ".pub file"),
    ("trustedSigners", ["ssh-rsa AAAA"], "sekha:trustedSigners[0]", "ssh-rsa AAAA", "ssh-ed25519"),
    ("monthlyBudget", -1, "sekha:monthlyBudget", "-1", "0: no limit"),
    ("protect", "yes", "sekha:protect", "yes", "true or false"),
    ("releaseTimeout", 5, "sekha:releaseTimeout", "5", "from 60 to 7200 seconds"),
    ("restore", "maybe", "sekha:restore", "maybe", "known: auto, never"),
    ("restoreTo", "yesterday", "sekha:restoreTo", "yesterday", "write it like"),
    ("restoreTo", "2026-11-23T14:05", "sekha:restoreTo", "2026-11-23T14:05", "for UTC write"),
    ("restoreFrom", {"stack": "test"}, "sekha:restoreFrom.stack", "test", "is this stack"),
    (
        "restoreFrom",
        {"stack": "prod"},
        "sekha:restoreStackKey",
        "missing",
        "make secret STACK=test NAME=restoreStackKey",
    ),
    ("restoreFrom", {"bucket": "prod"}, "sekha:restoreFrom.bucket", "prod", "known: stack, endpoint"),
    ("archiveTimeout", 3601, "sekha:archiveTimeout", "3601", "from 0 to 3600 seconds"),
    ("database", "mysql", "sekha:database", "mysql", "postgres, sqlite"),
    ("apiKey", "sk-sekha-short", "sekha:apiKey", "(secret of 14 characters)", "at least 32"),
    ("apiKey", "x" * 60, "sekha:apiKey", "(secret of 60 characters)", "sk-sekha-"),
    ("apiKey", None, "sekha:apiKey", "missing", "run: make init STACK=test"),
    ("stackKey", "abc", "sekha:stackKey", "(secret of 3 characters)", "64 hexadecimal"),
    ("signingKey", "no key", "sekha:signingKey", "(secret of 6 characters)", "not an unencrypted OpenSSH private key"),
    ("nodeSecretKey", "", "sekha:nodeSecretKey", "missing", "run: make init STACK=test, which asks for it"),
    ("bucket", {}, "sekha:bucket.endpoint", "missing", "docs/configuration.md"),
    ("bucket", {"nam": "x"}, "sekha:bucket.nam", "x", "unknown; known: endpoint"),
    ("bucket", {"endpoint": "http://s3.example.com"}, "sekha:bucket.endpoint", "http://s3.example.com", "https URL"),
    ("bucket", {"name": "A"}, "sekha:bucket.name", "A", "3 to 63"),
    ("bucket", {"addressing": "dns"}, "sekha:bucket.addressing", "dns", "known: path, virtual"),
    ("bucket", {"caFile": "/nowhere/ca.pem"}, "sekha:bucket.caFile", "/nowhere/ca.pem", "give the PEM"),
    ("conversation", 5, "sekha:conversation", "5", "did you mean sekha:conversations?"),
    ("zzz", 5, "sekha:zzz", "5", "known: cloud"),
]


@pytest.mark.parametrize(("key", "value", "full", "shown", "remedy"), BAD, ids=[f"{r[0]}={r[1]}"[:40] for r in BAD])
def test_bad_input_names_key_value_and_remedy(key: str, value: object, full: str, shown: str, remedy: str) -> None:
    with pytest.raises(SettingsError) as caught:
        samples.settings(**{key: value})
    problems = {problem.key: problem for problem in caught.value.problems}
    assert problems[full].value == shown
    assert re.search(remedy.replace("?", "\\?").replace("(", "\\("), problems[full].remedy)
    assert f"{full} = {shown}: {problems[full].remedy}" in str(caught.value)


@pytest.mark.parametrize(
    ("token", "shown", "remedy"),
    [("", "missing", "set HCLOUD_TOKEN"), ("short", "(secret of 5 characters)", "64 letters and digits")],
)
def test_a_token_is_needed(token: str, shown: str, remedy: str) -> None:
    config = samples.config() | {"hcloud:token": token}
    with pytest.raises(SettingsError) as caught:
        parse(config, "test", {})
    (problem,) = caught.value.problems
    assert (problem.key, problem.value) == ("hcloud:token", shown)
    assert remedy in problem.remedy


def test_the_token_may_come_from_the_environment() -> None:
    config = samples.config()
    del config["hcloud:token"]
    made = parse(config, "test", {"HCLOUD_TOKEN": "E" * 64, "HCLOUD_ENDPOINT": "http://127.0.0.1:1/v1"})
    assert made.secrets.cloud_token == "E" * 64
    assert made.hcloud_endpoint == "http://127.0.0.1:1/v1"


@pytest.mark.parametrize("endpoint", ["http://api.hetzner.cloud/v1", "ftp://127.0.0.1", "api.hetzner.cloud"])
def test_the_token_never_travels_in_clear(endpoint: str) -> None:
    with pytest.raises(SettingsError, match=r"hcloud:endpoint = .* must be an https URL"):
        parse(samples.config() | {"hcloud:endpoint": endpoint}, "test", {})


def test_all_problems_come_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        samples.settings(conversations=-1, domain="x", adminCidrs=["a", "b"], apiKey=None)
    assert {problem.key for problem in caught.value.problems} == {
        "sekha:conversations", "sekha:domain", "sekha:adminCidrs[0]", "sekha:adminCidrs[1]", "sekha:apiKey",
    }  # fmt: skip


def test_a_secret_in_clear_is_refused_and_not_shown() -> None:
    config = samples.config()
    encrypted = {f"sekha:{key}" for key in module.SECRET_KEYS if key != "apiKey"} | {"hcloud:token"}
    with pytest.raises(SettingsError) as caught:
        parse(config, "test", {}, encrypted)
    (problem,) = caught.value.problems
    assert problem.key == "sekha:apiKey"
    assert "is not encrypted" in problem.remedy
    assert config["sekha:apiKey"] not in str(caught.value)


def test_no_message_shows_a_secret() -> None:
    secrets = {key: f"clear-text-{key}" for key in ("apiKey", "stackKey", "signingKey")}
    with pytest.raises(SettingsError) as caught:
        samples.settings(**secrets, apikey="clear-text-typo")
    assert "clear-text" not in str(caught.value)


def test_a_stack_name_must_fit_a_host_name() -> None:
    with pytest.raises(SettingsError, match="stack = Prod_1: is no stack name"):
        parse(samples.config(), "Prod_1", {})


def test_a_wrong_namespace_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"skeha:domain = .*did you mean sekha:domain"):
        parse(samples.config() | {"skeha:domain": "a.b"}, "test", {})


def test_good_config_comes_out_typed() -> None:
    made = samples.settings(domain="Sekha.Example.com.", adminCidrs=["203.0.113.0/24"], protect=False)
    assert made.domain == "sekha.example.com"
    assert made.admin_cidrs == ("203.0.113.0/24",)
    assert (made.conversations, made.protect, made.release_timeout) == (20000, False, 900)
    assert "a" * 32 not in repr(made)


def test_sqlite_is_chosen_by_a_key_and_not_on_docker() -> None:
    assert samples.settings().database == "postgres"
    made = samples.settings(database="sqlite")
    assert (made.database, made.backups.archive_timeout) == ("sqlite", 1)
    assert samples.settings(database="sqlite", archiveTimeout=30).backups.archive_timeout == 30
    with pytest.raises(SettingsError, match="sekha:database = sqlite: a Docker stack's database is PostgreSQL"):
        samples.settings(database="sqlite", cloud="docker")


def test_the_schema_in_pulumi_yaml_is_what_settings_knows() -> None:
    schema = yaml.safe_load((REPO / "Pulumi.yaml").read_text())["config"]
    assert set(schema) == set(module.KEYS)
    assert all({"type", "default", "description"} <= set(row) for row in schema.values())
    assert {name for name, row in schema.items() if row["description"].startswith("(secret)")} == {
        *module.SECRET_KEYS, *restore_settings.SECRET_KEYS,
    }  # fmt: skip


@pytest.mark.parametrize("stack", ["local", "prod"])
def test_the_stacks_in_the_repository_are_good_and_hold_no_secret(stack: str) -> None:
    text = (REPO / f"Pulumi.{stack}.yaml").read_text()
    raw = yaml.safe_load(text)["config"]
    config = samples.config(**{key.removeprefix("sekha:"): value for key, value in raw.items()})
    made = parse(config, stack, {})
    assert made.stack == stack
    assert not {f"sekha:{key}" for key in module.SECRET_KEYS} & set(raw)
    assert "secure" not in text
