"""What is said of a repository that can't be read: a bucket that is away is no wrong key, and neither is emptiness."""

from __future__ import annotations

import json

import pytest
from sekha_backup import repository, restore
from sekha_backup.machine import RefusedError

AWAY = "[HostConnectError] unable to connect to '198.51.100.2:9000':\n [111] Connection refused"
GARBAGE = "[FormatError] key/value found outside of section at line 1: \x02\x1b[1m\ufffd="
KEY = "[CryptoError] unable to load info file '/backups/backup.info': cipher header invalid"


def told(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """pgBackRest says this of the repository."""
    repo = [{"key": 1, "status": {"code": 99, "message": why}}]
    stanza = {"name": "sekha", "repo": repo, "status": {"code": 99, "message": "other"}}
    monkeypatch.setattr(
        repository, "pgbackrest", lambda *_: json.dumps([stanza]).replace("\\u0002", "\x02").replace("\\u001b", "\x1b")
    )


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (AWAY, "is the bucket away? [HostConnectError] unable to connect to '198.51.100.2:9000': [111] Connection"),
        (KEY, "wrong key, or damaged? [CryptoError]"),
        (GARBAGE, "wrong key, or damaged? [FormatError] key/value found outside of section at line 1:"),
    ],
)
def test_a_repository_that_cant_be_read_is_refused_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, why: str, words: str
) -> None:
    told(monkeypatch, why)
    with pytest.raises(RefusedError) as refused:
        repository.backups()
    assert words in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_bucket_that_is_away_is_said_before_pgbackrest_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def look(self) -> None:
            raise OSError("bucket sekha: GET lease.json: refused")

    def asked(*_: str) -> list[repository.Backup]:
        raise AssertionError("pgBackRest was asked")

    monkeypatch.setattr(restore, "of_this_machine", Away)
    monkeypatch.setattr(repository, "backups", asked)
    with pytest.raises(OSError, match="refused"):
        restore.own_source()


@pytest.mark.parametrize(
    ("kind", "code", "made"),
    [("diff", 0, ["diff"]), ("diff", 106, ["diff", "full"]), ("diff", 82, ["diff"]), ("full", 106, ["full"])],
)
def test_a_killed_full_backup_is_followed_by_a_full_one(
    monkeypatch: pytest.MonkeyPatch, kind: str, code: int, made: list[str]
) -> None:
    """What its folder leaves behind in a store with versions keeps every other kind from being made."""
    asked: list[str] = []

    def call(kind: str, *_: str, capture: bool) -> str:
        asked.append(kind.removeprefix("--type="))
        if code and len(asked) == 1:
            raise repository.RepositoryError("refused", code=code)
        return ""

    monkeypatch.setattr(repository, "pgbackrest", call)
    if len(made) == 1 and code:
        with pytest.raises(repository.RepositoryError):
            repository.back_up(kind)
    else:
        repository.back_up(kind)
    assert asked == made
