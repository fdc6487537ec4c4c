"""Firewalls: rules as they are echoed, what they are applied to, and what the machines get."""

from __future__ import annotations

from tests.support import wait_for
from tests.unit.localcloud.conftest import Json, Rig
from tests.unit.localcloud.test_servers import BASE, act, make

SSH: Json = {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0", "::/0"]}
WEB: Json = {"direction": "in", "protocol": "tcp", "port": "80-443", "source_ips": ["0.0.0.0/0"], "description": "web"}
PING: Json = {"direction": "out", "protocol": "icmp", "destination_ips": ["0.0.0.0/0"]}


def test_rules_are_echoed_in_order_with_all_keys(rig: Rig) -> None:
    answer = rig.done(rig.ask("POST", "/firewalls", {"name": "f", "rules": [PING, SSH, WEB]}, 201))
    assert [action["command"] for action in answer["actions"]] == ["set_firewall_rules"]
    rules = answer["firewall"]["rules"]
    assert [rule["port"] for rule in rules] == [None, "22", "80-443"]
    assert all(
        set(rule) == {"direction", "protocol", "port", "source_ips", "destination_ips", "description"} for rule in rules
    )
    assert (rules[0]["source_ips"], rules[1]["destination_ips"], rules[1]["description"]) == ([], [], None)
    assert rig.ask("POST", "/firewalls", {"name": "empty"}, 201)["actions"] == []


def test_bad_rules(rig: Rig) -> None:
    changes: list[Json] = [
        {"port": None},
        {"port": "0"},
        {"port": "70000"},
        {"port": "90-80"},
        {"port": "ssh"},
        {"protocol": "icmp"},
        {"protocol": "ip"},
        {"direction": "up"},
        {"source_ips": ["10.0.0.1/8"]},
        {"source_ips": ["10.0.0.1"]},
        {"source_ips": []},
        {"source_ips": ["0.0.0.0/0"] * 101},
        {"description": "x" * 256},
    ]
    for fields in changes:
        body = {"name": "f", "rules": [{**SSH, **fields}]}
        assert rig.error("POST", "/firewalls", body) == (422, "invalid_input"), fields
    assert rig.error("POST", "/firewalls", {"name": "f", "rules": [SSH] * 51}) == (422, "invalid_input")


def test_applying_changes_the_machine_before_the_action_ends(rig: Rig) -> None:
    server = make(rig)
    assert rig.backend.firewalls[server["id"]] is None  # open
    to = {"type": "server", "server": {"id": server["id"]}}
    one = rig.done(rig.ask("POST", "/firewalls", {"name": "one", "rules": [SSH], "apply_to": [to]}, 201))["firewall"]
    assert rig.ask("GET", f"/firewalls/{one['id']}")["firewall"]["applied_to"] == [to]
    assert rig.ask("GET", f"/servers/{server['id']}")["server"]["public_net"]["firewalls"] == [
        {"id": one["id"], "status": "applied"}
    ]
    two = rig.ask("POST", "/firewalls", {"name": "two", "rules": [WEB]}, 201)["firewall"]
    path = f"/firewalls/{two['id']}/actions"
    rig.done(rig.ask("POST", f"{path}/apply_to_resources", {"apply_to": [to]}, 201))
    assert rig.error("POST", f"{path}/apply_to_resources", {"apply_to": [to]}) == (422, "firewall_already_applied")
    assert [rule.port for rule in rig.backend.firewalls[server["id"]] or ()] == ["22", "80-443"]  # the union
    answer = rig.done(rig.ask("POST", f"{path}/set_rules", {"rules": []}, 201))
    assert [action["command"] for action in answer["actions"]] == ["set_firewall_rules", "apply_firewall"]
    assert [rule.port for rule in rig.backend.firewalls[server["id"]] or ()] == ["22"]
    for firewall in (one, two):
        rig.done(
            rig.ask("POST", f"/firewalls/{firewall['id']}/actions/remove_from_resources", {"remove_from": [to]}, 201)
        )
    assert rig.backend.firewalls[server["id"]] is None
    gone = {"type": "server", "server": {"id": 4711}}
    assert rig.error("POST", f"{path}/apply_to_resources", {"apply_to": [gone]}) == (404, "firewall_resource_not_found")
    assert rig.error("POST", f"{path}/remove_from_resources", {"remove_from": [to]}) == (
        422,
        "firewall_resource_not_found",
    )
    rig.ask("DELETE", f"/firewalls/{one['id']}", status=204)


def test_a_firewall_is_there_before_the_server_starts(rig: Rig) -> None:
    firewall = rig.ask("POST", "/firewalls", {"name": "f", "rules": [SSH]}, 201)["firewall"]
    make(rig, firewalls=[{"firewall": firewall["id"]}])
    order = [call[0] for call in rig.backend.calls]
    assert order.index("set_firewall") < order.index("start_server")


def test_label_selectors_are_live(rig: Rig) -> None:
    selector = {"type": "label_selector", "label_selector": {"selector": "role=web"}}
    answer = rig.done(rig.ask("POST", "/firewalls", {"name": "f", "rules": [SSH], "apply_to": [selector]}, 201))
    path = f"/firewalls/{answer['firewall']['id']}"
    server = make(rig)
    assert rig.backend.firewalls[server["id"]] is None
    rig.ask("PUT", f"/servers/{server['id']}", {"labels": {"role": "web"}}, 200)
    wait_for(lambda: rig.backend.firewalls[server["id"]], 5, "the filter follows the labels", 0.01)
    (row,) = rig.ask("GET", path)["firewall"]["applied_to"]
    assert row["applied_to_resources"] == [{"type": "server", "server": {"id": server["id"]}}]
    one = {"remove_from": [{"type": "server", "server": {"id": server["id"]}}]}
    assert rig.error("POST", f"{path}/actions/remove_from_resources", one)[1] == "firewall_managed_by_label_selector"
    rig.ask("PUT", f"/servers/{server['id']}", {"labels": {}}, 200)
    wait_for(lambda: rig.backend.firewalls[server["id"]] is None, 5, "the filter follows the labels", 0.01)
    rig.done(rig.ask("POST", f"{path}/actions/remove_from_resources", {"remove_from": [selector]}, 201))
    rig.ask("DELETE", path, status=204)


def test_a_rebuilt_server_keeps_its_filter(rig: Rig) -> None:
    firewall = rig.ask("POST", "/firewalls", {"name": "f", "rules": [SSH]}, 201)["firewall"]
    server = make(rig, firewalls=[{"firewall": firewall["id"]}])
    act(rig, server, "rebuild", {"image": "debian-13"})
    assert rig.backend.firewalls[server["id"]]


def test_private_servers_and_limits(rig: Rig) -> None:
    network = {"name": "n", "ip_range": "10.0.0.0/16"}
    subnets = [{"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}]
    net = rig.ask("POST", "/networks", {**network, "subnets": subnets}, 201)["network"]
    server = make(rig, networks=[net["id"]], public_net={"enable_ipv4": False, "enable_ipv6": False})
    to = [{"type": "server", "server": {"id": server["id"]}}]
    assert rig.error("POST", "/firewalls", {"name": "f", "apply_to": to}) == (422, "private_net_only_server")
    assert rig.ask("GET", "/firewalls")["firewalls"] == []  # nothing half made


def test_no_server_starts_before_its_firewall_is_in_place(rig: Rig) -> None:
    firewall = rig.done(rig.ask("POST", "/firewalls", {"name": "f", "rules": [SSH]}, 201))["firewall"]
    rig.backend.fail["set_firewall"] = "nft: no"
    answer = rig.ask("POST", "/servers", {**BASE, "firewalls": [{"firewall": firewall["id"]}]}, 201)
    server = answer["server"]
    assert [rig.end_of(f"/actions/{a['id']}")["status"] for a in (answer["action"], *answer["next_actions"])] == [
        "error",
        "error",
    ]
    assert server["id"] not in rig.backend.running
    rig.backend.fail.clear()
    act(rig, server, "poweron")
    assert [rule.port for rule in rig.backend.firewalls[server["id"]] or ()] == ["22"]


def test_one_request_applies_a_firewall_once(rig: Rig) -> None:
    server = make(rig)
    twice = [{"type": "server", "server": {"id": server["id"]}}] * 2
    assert rig.error("POST", "/firewalls", {"name": "f", "apply_to": twice}) == (422, "firewall_already_applied")
    assert rig.ask("GET", "/firewalls")["firewalls"] == []
