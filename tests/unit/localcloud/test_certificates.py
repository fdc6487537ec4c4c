"""Certificates through hcloud-python: what is read from the PEM, what is refused, and managed ones."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from hcloud.actions import ActionFailedException

from localcloud import certs
from tests.unit.localcloud.conftest import Rig


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a CA."""
    folder = tmp_path_factory.mktemp("ca")
    certs.ensure(folder)
    return folder


def test_uploaded(rig: Rig, ca: Path) -> None:
    client = rig.client()
    chain, key = certs.issue(ca, ["a.example.org", "*.b.example.org"])
    made = client.certificates.create("c", chain, key, {"app": "x"})
    assert (made.type, made.certificate, made.status) == ("uploaded", chain, None)
    assert made.domain_names == ["a.example.org", "*.b.example.org"]
    assert made.fingerprint
    assert len(made.fingerprint.split(":")) == 32
    assert made.not_valid_before
    assert made.not_valid_after
    assert (made.not_valid_after - made.not_valid_before).days == 90
    shown = rig.ask("GET", f"/certificates/{made.id}")["certificate"]
    assert shown["used_by"] == []
    assert "PRIVATE KEY" not in str(shown)
    assert made.update("d", {}).name == "d"
    assert rig.error("POST", f"/certificates/{made.id}/actions/retry") == (422, "unsupported_error")
    made.delete()
    assert client.certificates.get_all() == []


def test_refusals(rig: Rig, ca: Path) -> None:
    chain, key = certs.issue(ca, ["a.example.org"])
    other, other_key = certs.issue(ca, ["b.example.org"])
    leaf = chain.partition("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n"
    table: list[tuple[str, dict[str, Any]]] = [
        ("certificate", {"certificate": "junk", "private_key": key}),
        ("certificate", {"private_key": key}),
        ("certificate", {"certificate": leaf + other, "private_key": key}),
        ("certificate", {"certificate": chain * 4, "private_key": key}),
        ("private_key", {"certificate": chain, "private_key": other_key}),
        ("private_key", {"certificate": chain, "private_key": "junk"}),
        ("private_key", {"certificate": chain}),
        ("domain_names", {"type": "managed", "domain_names": []}),
        ("domain_names", {"type": "managed", "domain_names": ["no domain"]}),
        ("type", {"type": "found"}),
    ]
    for field, body in table:
        answer = rig.ask("POST", "/certificates", {"name": "c", **body}, 422)
        assert answer["error"]["details"]["fields"][0]["name"] == field, body
    rig.ask("POST", "/certificates", {"name": "c", "certificate": chain, "private_key": key}, 201)
    again = {"name": "c", "certificate": other, "private_key": other_key}
    assert rig.error("POST", "/certificates", again) == (409, "uniqueness_error")


def test_managed(rig: Rig, ca: Path) -> None:
    """Without a CA the issuance fails; the retry succeeds once there is one."""
    client = rig.client()
    created = client.certificates.create_managed("m", ["a.example.org"])
    with pytest.raises(ActionFailedException):
        created.action.wait_until_finished()
    failed = client.certificates.get_by_name("m")
    assert failed
    assert failed.status
    assert (failed.status.issuance, failed.certificate, failed.fingerprint) == ("failed", None, None)
    rig.cloud.issue = functools.partial(certs.issue, ca)
    failed.retry_issuance().wait_until_finished()
    issued = client.certificates.get_by_name("m")
    assert issued
    assert issued.status
    assert (issued.status.issuance, issued.status.renewal, issued.status.error) == ("completed", "scheduled", None)
    assert issued.domain_names == ["a.example.org"]
    assert issued.certificate
    assert [row.command for row in client.certificates.actions.get_all()] == ["create_certificate", "issue_certificate"]
