"""Networks, subnets, routes, and servers in them."""

from __future__ import annotations

from tests.support import wait_for
from tests.unit.localcloud.conftest import Json, Rig
from tests.unit.localcloud.test_servers import act, make

SUBNET: Json = {"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}


def network(rig: Rig, name: str = "n", ip_range: str = "10.0.0.0/16", subnet: Json | None = None) -> Json:
    """Make a network with a subnet."""
    body = {"name": name, "ip_range": ip_range, "subnets": [subnet or SUBNET]}
    return dict(rig.ask("POST", "/networks", body, 201)["network"])


def test_fields_and_refusals(rig: Rig) -> None:
    made = rig.ask("POST", "/networks", {"name": "n", "ip_range": "10.0.0.0/16"}, 201)
    assert set(made) == {"network"}
    assert set(made["network"]) == {
        "id", "name", "ip_range", "subnets", "routes", "servers", "load_balancers", "protection", "labels", "created",
        "expose_routes_to_vswitch",
    }  # fmt: skip
    path = f"/networks/{made['network']['id']}/actions"
    for bad in ("10.0.0.1/16", "8.8.0.0/16", "10.0.0.0/25", "x", "10.0.0.0"):
        assert rig.error("POST", "/networks", {"name": "m", "ip_range": bad}) == (422, "invalid_input"), bad
    rig.done(rig.ask("POST", f"{path}/add_subnet", SUBNET, 201))
    for fields in (
        {"ip_range": "10.0.1.128/25"},
        {"ip_range": "10.1.0.0/24"},
        {"ip_range": "10.0.2.0/31"},
        {"ip_range": "10.0.2.0/24", "network_zone": "moon"},
        {"ip_range": "10.0.2.0/24", "type": "vswitch"},
    ):
        assert rig.error("POST", f"{path}/add_subnet", {**SUBNET, **fields}) == (422, "invalid_input"), fields
    rig.done(rig.ask("POST", f"{path}/add_subnet", {"type": "cloud", "network_zone": "eu-central"}, 201))
    vswitch = {"ip_range": "10.0.2.0/24", "type": "vswitch", "network_zone": "eu-central", "vswitch_id": 7}
    rig.done(rig.ask("POST", f"{path}/add_subnet", vswitch, 201))
    again = {**vswitch, "ip_range": "10.0.3.0/24"}
    assert rig.error("POST", f"{path}/add_subnet", again) == (422, "vswitch_id_already_used")
    rig.done(rig.ask("POST", f"{path}/delete_subnet", {"ip_range": "10.0.2.0/24"}, 201))
    rig.done(rig.ask("POST", f"{path}/add_route", {"destination": "10.100.0.0/16", "gateway": "10.0.1.5"}, 201))
    assert (
        rig.error("POST", f"{path}/add_route", {"destination": "1.0.0.0/8", "gateway": "1.1.1.1"})[1] == "invalid_input"
    )
    data = rig.ask("GET", f"/networks/{made['network']['id']}")["network"]
    assert [row["ip_range"] for row in data["subnets"]] == ["10.0.1.0/24", "10.0.0.0/24"]
    assert {row["gateway"] for row in data["subnets"]} == {"10.0.0.1"}
    assert data["routes"] == [{"destination": "10.100.0.0/16", "gateway": "10.0.1.5"}]
    assert rig.backend.routes[data["id"]] == [("10.100.0.0/16", "10.0.1.5")]
    rig.backend.fail = {"create_network": "no"}
    for change, body in (
        ("add", {"destination": "10.101.0.0/16", "gateway": "10.0.1.6"}),
        ("delete", data["routes"][0]),
    ):
        action = rig.ask("POST", f"{path}/{change}_route", body, 201)["action"]
        assert rig.end_of(f"/actions/{action['id']}")["status"] == "error"
        assert rig.ask("GET", f"/networks/{data['id']}")["network"]["routes"] == data["routes"]
    rig.backend.fail = {}
    rig.done(rig.ask("POST", f"{path}/delete_route", data["routes"][0], 201))
    assert rig.backend.routes[data["id"]] == []
    assert rig.error("POST", f"{path}/delete_subnet", {"ip_range": "10.0.9.0/24"}) == (404, "not_found")
    rig.done(rig.ask("POST", f"{path}/delete_subnet", {"ip_range": "10.0.1.0/24"}, 201))
    assert rig.error("POST", f"{path}/change_ip_range", {"ip_range": "10.0.0.0/17"}) == (422, "invalid_input")
    rig.done(rig.ask("POST", f"{path}/change_ip_range", {"ip_range": "10.0.0.0/12"}, 201))
    assert rig.backend.networks == {data["id"]: "10.0.0.0/12"}
    rig.done(rig.ask("POST", f"{path}/change_protection", {"delete": True}, 201))
    assert rig.error("DELETE", f"/networks/{data['id']}") == (423, "protected")


def test_attach_is_complete_when_the_action_succeeds(rig: Rig) -> None:
    net, server = network(rig), make(rig)
    action = act(rig, server, "attach_to_network", {"network": net["id"], "ip": "10.0.1.5"})["action"]
    assert {(row["type"], row["id"]) for row in action["resources"]} == {
        ("server", server["id"]),
        ("network", net["id"]),
    }
    (nic,) = rig.ask("GET", f"/servers/{server['id']}")["server"]["private_net"]
    assert (nic["network"], nic["ip"], nic["alias_ips"]) == (net["id"], "10.0.1.5", [])
    assert nic["mac_address"].startswith("86:00:00:")
    real = rig.backend.nics[server["id"]][net["id"]]
    assert (real.ip, real.mac, real.ip_range, real.gateway) == (
        "10.0.1.5",
        nic["mac_address"],
        "10.0.0.0/16",
        "10.0.0.1",
    )
    assert rig.ask("GET", f"/networks/{net['id']}")["network"]["servers"] == [server["id"]]
    members = rig.ask("GET", f"/networks/{net['id']}/members")["members"]
    assert [(row["id"], row["subnet"]) for row in members] == [(server["id"], "10.0.1.0/24")]
    other = make(rig, name="other")
    path = f"/servers/{other['id']}/actions/attach_to_network"
    assert rig.error("POST", path, {"network": net["id"], "ip": "10.0.1.5"}) == (422, "ip_not_available")
    assert rig.error("POST", path, {"network": net["id"], "ip_range": "10.0.9.0/24"}) == (422, "no_subnet_available")
    assert rig.error("POST", path, {"network": 4711}) == (404, "not_found")
    act(rig, other, "attach_to_network", {"network": net["id"]})
    assert rig.error("POST", path, {"network": net["id"]}) == (422, "server_already_attached")
    overlapping = network(rig, "overlapping")
    assert rig.error("POST", path, {"network": overlapping["id"]}) == (422, "networks_overlap")
    path = f"/networks/{net['id']}/actions/delete_subnet"
    assert rig.error("POST", path, {"ip_range": "10.0.1.0/24"}) == (422, "service_error")
    act(rig, server, "change_alias_ips", {"network": net["id"], "alias_ips": ["10.0.1.77"]})
    act(rig, server, "detach_from_network", {"network": net["id"]})
    assert rig.ask("GET", f"/servers/{server['id']}")["server"]["private_net"] == []
    path = f"/servers/{server['id']}/actions/detach_from_network"
    assert rig.error("POST", path, {"network": net["id"]})[0] == 422
    assert rig.backend.nics[server["id"]] == {}


def test_a_network_without_subnet(rig: Rig) -> None:
    net = rig.ask("POST", "/networks", {"name": "n", "ip_range": "10.0.0.0/16"}, 201)["network"]
    path = f"/servers/{make(rig)['id']}/actions/attach_to_network"
    assert rig.error("POST", path, {"network": net["id"]}) == (422, "no_subnet_available")


def test_automatic_addresses_come_from_the_last_subnet(rig: Rig) -> None:
    net = network(rig)
    rig.ask("POST", f"/networks/{net['id']}/actions/add_subnet", {**SUBNET, "ip_range": "10.0.0.0/24"}, 201)
    server = make(rig, networks=[net["id"]])
    assert [nic["ip"] for nic in server["private_net"]] == ["10.0.1.1"]
    assert [nic.ip for nic in rig.backend.servers[server["id"]].nics] == ["10.0.1.1"]


def test_deleting_a_network_detaches_its_members(rig: Rig) -> None:
    net, server = network(rig), make(rig)
    act(rig, server, "attach_to_network", {"network": net["id"]})
    rig.ask("DELETE", f"/networks/{net['id']}", status=204)
    assert rig.ask("GET", f"/servers/{server['id']}")["server"]["private_net"] == []
    wait_for(lambda: rig.backend.networks == {}, 5, "the network is gone", 0.01)
    assert rig.backend.nics[server["id"]] == {}


def test_a_failed_attach_is_undone(rig: Rig) -> None:
    net, server = network(rig), make(rig)
    rig.backend.fail["attach_network"] = "no such interface"
    body = {"network": net["id"]}
    action = rig.ask("POST", f"/servers/{server['id']}/actions/attach_to_network", body, 201)["action"]
    path = f"/actions/{action['id']}"
    wait_for(lambda: rig.ask("GET", path)["action"]["status"] == "error", 5, "the action fails", 0.01)
    assert rig.ask("GET", path)["action"]["error"] == {"code": "action_failed", "message": "no such interface"}
    assert rig.ask("GET", f"/servers/{server['id']}")["server"]["private_net"] == []
