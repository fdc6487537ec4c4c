"""Machine and operator look for a stack's backups at the same place, and a key opens only its own."""

from __future__ import annotations

from sekha_backup import repository
from sekha_backup.machine import CIPHER, Place, place

from infra import backups

BUCKET = {"endpoint": "https://s3.example.com:9000", "region": "r", "name": "b", "addressing": "path", "ca_file": "/ca"}


def of(stack_key: str) -> Place:
    return place("prod", BUCKET, lambda: ("ACCESS", "SECRET", {}), stack_key)


def test_both_sides_agree() -> None:
    key = "ab" * 32
    options = dict(line.split("=", 1) for line in repository.settings(of(key)).splitlines()[1:])
    assert options["repo1-path"] == "/" + backups.repository("prod", key).rstrip("/")
    assert options["repo1-cipher-pass"] == of(key).derived(CIPHER)
    assert key not in repository.settings(of(key))
    assert (options["repo1-s3-endpoint"], options["repo1-storage-port"]) == ("s3.example.com", "9000")


def test_another_key_is_another_repository() -> None:
    one, other = of("ab" * 32), of("cd" * 32)
    assert one.named("postgres") != other.named("postgres")
    assert one.prefix == other.prefix
    assert one.derived(CIPHER) != other.derived(CIPHER)


def test_options_for_keys_that_the_cloud_keeps() -> None:
    text = repository.settings(place("prod", BUCKET, lambda: ("A", "S", {}), "ab" * 32, temporary=True))
    assert "repo1-s3-key-type=auto" in text
    assert "repo1-s3-key=" not in text
