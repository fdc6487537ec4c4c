"""Snapshots, backups, rescue, passwords and ISOs through hcloud-python."""

from __future__ import annotations

import pytest
from hcloud.images import Image
from hcloud.isos import Iso
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer

from tests.unit.localcloud.conftest import Rig

SERVER = {"name": "a", "server_type": "cx23", "image": "debian-13", "location": "fsn1"}


@pytest.fixture
def server(rig: Rig) -> BoundServer:
    """A running server."""
    rig.done(rig.ask("POST", "/servers", SERVER, 201))
    return rig.client().servers.get_all()[0]


def test_snapshot(rig: Rig, server: BoundServer) -> None:
    client = rig.client()
    made = server.create_image("before the upgrade", "snapshot", {"app": "x"})
    assert (made.image.status, made.image.name, made.image.type) == ("creating", None, "snapshot")
    made.action.wait_until_finished()
    image = client.images.get_all(type=["snapshot"], label_selector="app=x")[0]
    assert (image.status, image.image_size, image.disk_size, image.bound_to) == ("available", 1.5, 40.0, None)
    assert image.created_from
    assert image.created_from.id == server.id
    assert [row.name for row in client.images.get_all(name="debian-13", architecture=["x86"])] == ["debian-13"]
    assert image.update("after all", labels={}).description == "after all"
    created = client.servers.create("b", ServerType(name="cx23"), Image(id=image.id))
    created.action.wait_until_finished()
    assert created.server.id is not None
    assert rig.backend.servers[created.server.id].image == str(image.id)
    path = f"/images/{image.id}"
    image.change_protection(delete=True).wait_until_finished()
    assert rig.error("DELETE", path) == (423, "protected")
    image.change_protection(delete=False).wait_until_finished()
    image.delete()
    assert rig.error("GET", path) == (404, "not_found")
    fresh = client.servers.get_by_id(created.server.id)  # it goes on, and still shows what it was made from
    assert fresh.image
    assert fresh.image.id == image.id
    bad = {**SERVER, "name": "c", "image": image.id}
    assert rig.error("POST", "/servers", bad) == (422, "invalid_input")


def test_a_large_snapshot_needs_a_large_server(rig: Rig) -> None:
    rig.done(rig.ask("POST", "/servers", {**SERVER, "server_type": "cx33"}, 201))
    rig.client().servers.get_all()[0].create_image().action.wait_until_finished()
    image = rig.client().images.get_all(type=["snapshot"])[0]
    assert rig.error("POST", "/servers", {**SERVER, "name": "b", "image": image.id}) == (422, "invalid_input")
    arm = {**SERVER, "name": "b", "image": image.id, "server_type": "cax31"}
    assert rig.error("POST", "/servers", arm) == (422, "invalid_input")


def test_backups_go_with_their_server(rig: Rig, server: BoundServer) -> None:
    body = {"type": "backup"}
    path = f"/servers/{server.id}/actions/create_image"
    assert rig.error("POST", path, body) == (422, "invalid_input")
    server.enable_backup().wait_until_finished()
    rig.done(rig.ask("POST", path, body, 201))
    rig.done(rig.ask("POST", path, body, 201))
    client = rig.client()
    kept, lost = client.images.get_all(bound_to=[str(server.id)])
    assert kept.update(type="snapshot").bound_to is None
    server.delete().wait_until_finished()
    assert [row.id for row in client.images.get_all(type=["snapshot", "backup"])] == [kept.id]
    assert lost.id not in rig.backend.image_of


def test_a_failed_image_is_none(rig: Rig, server: BoundServer) -> None:
    rig.backend.fail["create_image"] = "disk full"
    made = rig.ask("POST", f"/servers/{server.id}/actions/create_image", {}, 201)
    ended = rig.end_of(f"/actions/{made['action']['id']}")
    assert ended["error"] == {"code": "action_failed", "message": "disk full"}
    assert rig.client().images.get_all(type=["snapshot"]) == []


def test_system_images_stay(rig: Rig) -> None:
    image = rig.ask("GET", "/images?name=debian-13")["images"][0]["id"]
    assert rig.error("DELETE", f"/images/{image}") == (403, "forbidden")
    assert rig.error("PUT", f"/images/{image}", {"description": "mine"}) == (403, "forbidden")


def test_rescue_is_for_one_boot(rig: Rig, server: BoundServer) -> None:
    assert server.id is not None
    enabled = server.enable_rescue("linux64")
    assert enabled.root_password
    assert rig.client().servers.get_by_id(server.id).rescue_enabled is True
    server.power_on().wait_until_finished()  # it runs: this is no boot
    assert rig.client().servers.get_by_id(server.id).rescue_enabled is True
    server.reset().wait_until_finished()
    spec = rig.backend.booted[server.id]
    assert (spec.rescue, spec.user_data, spec.root_password) == (True, "", enabled.root_password)
    assert rig.client().servers.get_by_id(server.id).rescue_enabled is False
    server.reboot().wait_until_finished()
    assert rig.backend.booted[server.id].rescue is False
    server.enable_rescue()
    server.disable_rescue().wait_until_finished()
    assert rig.client().servers.get_by_id(server.id).rescue_enabled is False
    path = f"/servers/{server.id}/actions/enable_rescue"
    assert rig.error("POST", path, {"type": "freebsd64"}) == (422, "invalid_input")
    assert rig.error("POST", path, {"ssh_keys": ["nobody"]}) == (404, "not_found")


def test_password_and_iso(rig: Rig, server: BoundServer) -> None:
    assert server.id is not None
    answer = server.reset_password()
    answer.action.wait_until_finished()
    assert rig.backend.passwords == {server.id: answer.root_password}
    server.attach_iso(Iso(name="virtio-win-0.1.248.iso")).wait_until_finished()
    shown = rig.client().servers.get_by_id(server.id)
    assert shown.iso
    assert shown.iso.id == 8533
    server.detach_iso().wait_until_finished()
    assert rig.client().servers.get_by_id(server.id).iso is None
    path = f"/servers/{server.id}/actions"
    assert rig.error("POST", f"{path}/attach_iso", {"iso": 8638}) == (422, "invalid_input")  # for arm
    server.power_off().wait_until_finished()
    assert rig.error("POST", f"{path}/reset_password") == (422, "server_not_running")
