"""The user-data: within the limit, with exactly the two secrets, and well-formed where it matters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from infra import bootstrap, keys
from tests.unit.infra import samples

LIMIT = samples.HETZNER.user_data_limit


def _files(text: str) -> dict[str, str]:
    return {row["path"]: row["content"] for row in yaml.safe_load(text)["write_files"]}


def test_the_cloud_config_holds_what_the_agent_needs() -> None:
    made = samples.settings()
    text = bootstrap.user_data(made, "sekha-test-1", LIMIT)
    assert text.startswith("#cloud-config\n")
    assert len(text.encode()) <= LIMIT
    files = _files(text)
    agent = json.loads(files["/etc/sekha-deploy/agent.json"])
    assert agent == {
        "stack": "test", "node": "sekha-test-1", "access_key": "node-access", "secret_key": "node-secret",
        "stack_key": "5" * 64,
        "bucket": {
            "endpoint": "https://fsn1.your-objectstorage.com", "region": "fsn1", "name": "sekha-test",
            "addressing": "path", "ca_file": None,
        },
    }  # fmt: skip
    assert keys.public_key(samples.signing_key()) in files["/etc/sekha-deploy/allowed_signers"]
    for path, source in bootstrap.programs("hetzner").items():
        assert files[f"/usr/local/lib/sekha-deploy/stage0/{path}"] == source


def test_only_the_two_secrets_are_in_it() -> None:
    made = samples.settings()
    text = bootstrap.user_data(made, "sekha-test-1", LIMIT)
    secrets = vars(made.secrets)
    assert {name for name, value in secrets.items() if value in text} == {
        "stack_key", "node_access_key", "node_secret_key",
    }  # fmt: skip
    assert "PRIVATE KEY" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {"conversations": 90_000},
        {"domain": "sekha.example.com"},
        {"adminCidrs": ["203.0.113.7/32"]},
        {"metricsCidrs": ["203.0.113.7/32"]},
        {"apiKey": "sk-sekha-" + "b" * 40},
        {"monthlyBudget": 50},
    ],
)
def test_what_ages_does_not_change_it(changes: dict[str, object]) -> None:
    """A changed user-data replaces the machine."""
    before, after = (bootstrap.user_data(samples.settings(**given), "sekha-test-1", LIMIT) for given in ({}, changes))
    assert before == after


def test_a_bucket_with_its_own_authority(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    bucket = json.loads(samples.config()["sekha:bucket"]) | {"caFile": str(tmp_path / "ca.pem")}
    files = _files(bootstrap.user_data(samples.settings(bucket=bucket), "sekha-test-1", LIMIT))
    assert files["/etc/sekha-deploy/bucket-ca.pem"] == (tmp_path / "ca.pem").read_text()


def test_too_much_is_refused_with_both_sizes() -> None:
    with pytest.raises(bootstrap.TooLargeError, match=r"has \d+ bytes and the cloud takes 1000"):
        bootstrap.user_data(samples.settings(), "sekha-test-1", 1000)


def test_further_signers_are_trusted_once() -> None:
    own = keys.public_key(samples.signing_key())
    other = keys.public_key(keys.generate_signing_key())
    assert bootstrap.trusted_keys(samples.settings(trustedSigners=[own, other + " comment"])) == sorted([own, other])


def test_signing_with_another_trusted_key_replaces_no_machine() -> None:
    spare = keys.generate_signing_key()
    own = {"trustedSigners": [keys.public_key(spare)]}
    other = {"signingKey": spare, "trustedSigners": [keys.public_key(samples.signing_key())]}
    before, after = (bootstrap.user_data(samples.settings(**given), "n", LIMIT) for given in (own, other))
    assert before == after
