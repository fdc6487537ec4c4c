"""Floating IPs through hcloud-python: the whole life, routes, refusals."""

from __future__ import annotations

from hcloud.floating_ips import BoundFloatingIP

from tests.unit.localcloud.conftest import Rig

SERVER = {"name": "a", "server_type": "cx23", "image": "debian-13", "location": "fsn1"}


def _fresh(rig: Rig, ip: BoundFloatingIP) -> BoundFloatingIP:
    assert ip.id is not None
    return rig.client().floating_ips.get_by_id(ip.id)


def test_life(rig: Rig) -> None:
    client = rig.client()
    rig.done(rig.ask("POST", "/servers", SERVER, 201))
    rig.done(rig.ask("POST", "/servers", {**SERVER, "name": "b", "location": "nbg1"}, 201))
    a, b = client.servers.get_all()
    home = client.locations.get_by_name("fsn1")
    assert home
    created = client.floating_ips.create("ipv4", "first", {"app": "x"}, home, None, "f")
    ip = created.floating_ip
    assert created.action is None
    assert (ip.name, ip.description, ip.server, ip.labels, ip.blocked) == ("f", "first", None, {"app": "x"}, False)
    assert ip.home_location
    assert ip.home_location.name == "fsn1"
    assert ip.ip not in [row.ip for row in client.primary_ips.get_all()]
    ip.assign(a).wait_until_finished()
    assigned = _fresh(rig, ip).server
    assert assigned
    assert assigned.id == a.id
    assert rig.backend.floating == {ip.ip: a.id}
    assert rig.ask("GET", f"/servers/{a.id}")["server"]["public_net"]["floating_ips"] == [ip.id]
    ip.assign(b).wait_until_finished()  # straight from the one to the other, in the same network zone
    assert rig.backend.floating == {ip.ip: b.id}
    path = f"/floating_ips/{ip.id}"
    assert rig.error("POST", f"{path}/actions/assign", {"server": b.id}) == (422, "floating_ip_assigned")
    assert rig.error("POST", f"{path}/actions/assign", {"server": 1}) == (404, "not_found")
    assert rig.error("DELETE", path) == (422, "must_be_unassigned")
    ip.change_dns_ptr(str(ip.ip), "f.example.org").wait_until_finished()
    assert _fresh(rig, ip).dns_ptr == [{"ip": ip.ip, "dns_ptr": "f.example.org"}]
    assert rig.error("POST", f"{path}/actions/change_dns_ptr", {"ip": "192.0.2.1"}) == (422, "invalid_input")
    assert ip.update("second", {"app": "y"}, "g").description == "second"
    assert [row.id for row in client.floating_ips.get_all(label_selector="app=y", name="g")] == [ip.id]
    b.delete().wait_until_finished()
    assert _fresh(rig, ip).server is None
    assert rig.backend.floating == {ip.ip: None}
    assert rig.error("POST", f"{path}/actions/unassign") == (422, "floating_ip_not_assigned")
    ip.change_protection(delete=True).wait_until_finished()
    assert rig.error("DELETE", path) == (423, "protected")
    ip.change_protection(delete=False).wait_until_finished()
    ip.delete()
    assert rig.error("GET", path) == (404, "not_found")
    assert [row.command for row in client.floating_ips.actions.get_all()][:2] == ["assign_floating_ip"] * 2


def test_ipv6_with_a_server(rig: Rig) -> None:
    client = rig.client()
    rig.done(rig.ask("POST", "/servers", SERVER, 201))
    server = client.servers.get_all()[0]
    created = client.floating_ips.create("ipv6", server=server)
    assert created.action
    created.action.wait_until_finished()
    ip = created.floating_ip
    assert str(ip.ip).endswith("::/64")
    assert ip.name == f"floating-ip-{ip.id}"
    one = str(ip.ip).replace("/64", "1")
    ip.change_dns_ptr(one, "six.example.org").wait_until_finished()
    assert _fresh(rig, ip).dns_ptr == [{"ip": one, "dns_ptr": "six.example.org"}]
    ip.unassign().wait_until_finished()
    assert rig.backend.floating == {ip.ip: None}


def test_refusals(rig: Rig) -> None:
    rig.done(rig.ask("POST", "/servers", SERVER, 201))
    server = rig.ask("GET", "/servers")["servers"][0]["id"]
    assert rig.error("POST", "/floating_ips", {"type": "ipv5", "home_location": "fsn1"}) == (422, "invalid_input")
    assert rig.error("POST", "/floating_ips", {"type": "ipv4"}) == (422, "invalid_input")
    assert rig.error("POST", "/floating_ips", {"type": "ipv4", "home_location": "mars"}) == (422, "invalid_input")
    far = {"type": "ipv4", "home_location": "ash", "server": server}
    assert rig.error("POST", "/floating_ips", far) == (422, "invalid_input")
    body = {"type": "ipv4", "home_location": "fsn1", "name": "f"}
    rig.ask("POST", "/floating_ips", body, 201)
    assert rig.error("POST", "/floating_ips", body) == (409, "uniqueness_error")
    assert len(rig.ask("GET", "/floating_ips?type=ipv4&type=ipv6")["floating_ips"]) == 1
    assert rig.ask("GET", "/floating_ips?type=ipv6")["floating_ips"] == []
