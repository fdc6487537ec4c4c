"""Everything a single server needs, through the real hcloud-python client."""

from __future__ import annotations

from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType

from tests.unit.localcloud.conftest import Rig


def test_a_server_boots(rig: Rig, key: str) -> None:
    client = rig.client()
    ssh_key = client.ssh_keys.create("k", key, {"app": "demo"})
    created = client.servers.create(
        "web-1",
        ServerType(name="cx23"),
        Image(name="debian-13"),
        ssh_keys=[ssh_key],
        location=Location(name="fsn1"),
        user_data="#cloud-config\n",
    )
    assert created.root_password is None
    assert created.server.status == "initializing"
    created.action.wait_until_finished()
    assert [action.command for action in created.next_actions] == ["start_server"]
    created.next_actions[0].wait_until_finished()
    server = client.servers.get_by_name("web-1")
    assert server is not None
    assert server.status == "running"
    assert server.id is not None
    assert server.public_net is not None
    assert server.public_net.ipv4 is not None
    assert server.public_net.ipv4.ip == "198.51.100.10"
    spec = rig.backend.servers[server.id]
    assert (spec.cores, spec.memory_gb, spec.user_data, spec.ssh_public_keys) == (2, 4.0, "#cloud-config\n", (key,))
    client.servers.delete(server).wait_until_finished()
    assert client.servers.get_all() == []
    assert client.primary_ips.get_all() == []
    assert rig.backend.servers == {}
