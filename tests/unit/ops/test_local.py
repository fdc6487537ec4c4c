"""The private config copy of the local stack."""

from __future__ import annotations

from pathlib import Path

from infra import keys
from ops import stack_secrets
from ops.local import plain_config, secret_config, ssh_key

CLOUD = {
    "HCLOUD_ENDPOINT": "http://127.0.0.1:8580/v1",
    "HCLOUD_TOKEN": "t" * 64,
    "S3_ENDPOINT": "https://198.51.100.2:9000",
    "S3_REGION": "us-east-1",
    "S3_ACCESS_KEY": "operator",
    "S3_SECRET_KEY": "operator-secret",
    "S3_NODE_ACCESS_KEY": "node",
    "S3_NODE_SECRET_KEY": "node-secret",
    "S3_CA_FILE": "/cache/ca.pem",
}


def test_plain_values_hold_the_clouds_addresses_and_no_secret() -> None:
    config = plain_config({"config": {"sekha:cloud": "hetzner"}}, CLOUD, "ssh-ed25519 AAAA")
    assert config["hcloud:endpoint"] == CLOUD["HCLOUD_ENDPOINT"]
    assert config["sekha:cloud"] == "hetzner"
    assert config["sekha:sshPublicKeys"] == ["ssh-ed25519 AAAA"]
    assert config["sekha:bucket"]["endpoint"] == CLOUD["S3_ENDPOINT"]
    assert not [value for value in ("t" * 64, "operator-secret", "node-secret") if value in str(config)]


def test_a_first_up_sets_every_secret_and_a_second_none() -> None:
    first = secret_config(CLOUD, {})
    assert set(first) == {
        "hcloud:token",
        "sekha:bucketAccessKey",
        "sekha:bucketSecretKey",
        "sekha:nodeAccessKey",
        "sekha:nodeSecretKey",
        "sekha:apiKey",
        "sekha:stackKey",
        "sekha:signingKey",
    }
    assert secret_config(CLOUD, first) == {}


def test_a_new_token_is_taken_over_and_the_stacks_keys_stay() -> None:
    first = secret_config(CLOUD, {})
    assert secret_config(CLOUD | {"HCLOUD_TOKEN": "u" * 64}, first) == {"hcloud:token": "u" * 64}


def test_generated_secrets_are_well_formed() -> None:
    made = stack_secrets.missing({})
    assert made["sekha:apiKey"].startswith("sk-sekha-")
    assert len(made["sekha:apiKey"]) >= len("sk-sekha-") + 32
    assert len(bytes.fromhex(made["sekha:stackKey"])) == 32
    assert keys.public_key(made["sekha:signingKey"]).startswith("ssh-ed25519 ")


def test_the_ssh_key_is_private_and_made_once(tmp_path: Path) -> None:
    first = ssh_key(tmp_path)
    assert (tmp_path / "ssh_key").stat().st_mode & 0o777 == 0o600
    assert ssh_key(tmp_path) == first
