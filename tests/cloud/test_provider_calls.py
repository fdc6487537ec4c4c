"""The real engine and the real pulumi-hcloud provider against the API with in-memory machines.

Up, refresh without changes, change in place, replacement, destroy of every resource type that the provider has.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proof.hetzner_clients.provider_walk import every_type
from tests.cloud.provider_rig import Engine, first_config, served

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(300)]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with served(tmp_path) as engine:
        yield engine


def test_the_life_of_every_resource_type(engine: Engine) -> None:
    rig, backend = engine.rig, engine.rig.backend
    assert "created" in engine.up(**first_config(engine.folder))
    assert set(engine.types()) == every_type()
    engine.expect_no_changes()
    servers = {row["name"].rsplit("-", 1)[0]: row for row in rig.ask("GET", "/servers")["servers"]}
    main = servers["main"]
    assert {row["status"] for row in servers.values()} == {"running"}
    assert [nic["ip"] for nic in main["private_net"]] == ["10.0.1.5"]
    assert len(main["public_net"]["firewalls"]) == 2
    assert [rule.port for rule in backend.firewalls[main["id"]] or ()] == ["443", None, "1-65535"]
    assert backend.attached == {main["volumes"][0]: main["id"]}
    assert engine.pulumi("stack", "output", "ipv4").strip() == main["public_net"]["ipv4"]["ip"]
    assert engine.pulumi("stack", "output", "ipv6").strip() == main["public_net"]["ipv6"]["ip"].replace("/64", "1")
    assert servers["private"]["public_net"]["ipv4"] is None

    summary = engine.up(size="cx33", environment="prod", volume_size="20", ttl="600")
    assert "updated" in summary
    assert not {"replaced", "created", "deleted"} & set(summary.split())
    engine.expect_no_changes()
    changed = rig.ask("GET", f"/servers/{main['id']}")["server"]
    assert (changed["server_type"]["name"], changed["status"], changed["labels"]["env"]) == ("cx33", "running", "prod")
    assert "22" in [rule.port for rule in backend.firewalls[main["id"]] or ()]
    assert backend.volumes == {main["volumes"][0]: (20, "ext4")}

    assert "replaced" in engine.up(user_data="#cloud-config\n# changed")
    engine.expect_no_changes()
    (again,) = [row for row in rig.ask("GET", "/servers")["servers"] if row["name"].startswith("main-")]
    assert again["id"] != main["id"]
    assert again["public_net"]["ipv4"] == changed["public_net"]["ipv4"]
    assert again["volumes"] == main["volumes"]
    assert len(again["public_net"]["firewalls"]) == 2
    assert backend.servers[again["id"]].user_data == "#cloud-config\n# changed"

    engine.pulumi("refresh", "--yes", "--skip-preview")
    engine.pulumi("destroy", "--yes", "--skip-preview")
    assert engine.left() == []
    assert (backend.servers, backend.volumes, backend.networks, backend.attached) == ({}, {}, {}, {})
