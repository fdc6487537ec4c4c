"""Managed certificates by ACME from the real pebble, in a cloud without machines."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcloud import acme_issuer, certs
from localcloud.daemon import issuer
from localcloud.machines.paths import Paths
from proof.hetzner_clients.world import World, serve, some

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(600)]  # pebble may have to be built


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[[], World]]:
    paths = Paths(cache=tmp_path, cloud=tmp_path)
    paths.ca.mkdir(parents=True)
    certs.ensure(paths.ca)
    with serve() as make:

        def made() -> World:
            world = make()
            world.api.cloud.issue = issuer(paths, world.api.cloud.store)
            world.folder = paths.ca
            return world

        yield made


def test_a_certificate_that_who_trusts_the_cloud_trusts(world: Callable[[], World], tmp_path: Path) -> None:
    w = world()
    w.client.zones.create(name="example.com", mode="primary")
    made = w.client.certificates.create_managed("m", ["example.com", "*.example.com"])
    w.done(made.action)
    got = w.client.certificates.get_by_id(some(made.certificate.id))
    assert sorted(some(got.domain_names)) == ["*.example.com", "example.com"]
    assert some(got.status).renewal == "scheduled"
    assert (some(got.not_valid_after) - some(got.not_valid_before)).days == 89  # 90 days but a second, as there
    chain = tmp_path / "chain.pem"
    chain.write_text(some(got.certificate))
    command = ["openssl", "verify", "-CAfile", str(w.folder / "ca.pem"), "-untrusted", str(chain), str(chain)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    shown = subprocess.run(["openssl", "x509", "-noout", "-issuer", "-in", chain], capture_output=True, text=True)
    assert "Pebble" in shown.stdout


def test_what_dns_does_not_allow(world: Callable[[], World], monkeypatch: pytest.MonkeyPatch) -> None:
    w = world()
    servers = [{"address": "203.0.113.1"}]
    w.api.ask("POST", "/zones", {"name": "b.test", "mode": "secondary", "primary_nameservers": servers}, 201)
    caa = {"name": "@", "type": "CAA", "records": [{"value": '0 issue "other.test"'}]}
    w.api.ask("POST", "/zones", {"name": "c.test", "mode": "primary", "rrsets": [caa]}, 201)
    monkeypatch.setattr(acme_issuer, "program", lambda: Path("/nonexistent"))
    for name, code in [("www.b.test", "dns_zone_is_secondary_zone"), ("www.c.test", "caa_record_does_not_allow_ca")]:
        made = w.client.certificates.create_managed(name, [name])
        w.api.end_of(f"/actions/{some(made.action).id}")
        status = some(w.client.certificates.get_by_id(some(made.certificate.id)).status)
        assert (status.issuance, some(status.error).code) == ("failed", code)
