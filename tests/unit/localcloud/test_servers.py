"""Servers: what is refused at create, power, rebuild, resize, addresses, deletion."""

from __future__ import annotations

from typing import Any

from hcloud.servers import Server

from tests.support import wait_for
from tests.unit.localcloud.conftest import Json, Rig

BASE: Json = {"name": "s", "server_type": "cx23", "image": "debian-13", "location": "fsn1"}


def make(rig: Rig, **fields: Any) -> Json:
    """Create a server and wait until it has started."""
    answer = rig.done(rig.ask("POST", "/servers", {**BASE, **fields}, 201))
    return dict(rig.ask("GET", f"/servers/{answer['server']['id']}")["server"])


def act(rig: Rig, server: Json, action: str, body: Json | None = None) -> Json:
    """Carry out an action of a server to its end."""
    return rig.done(rig.ask("POST", f"/servers/{server['id']}/actions/{action}", body, 201))


def status(rig: Rig, server: Json) -> str:
    """The server's status now."""
    return str(rig.ask("GET", f"/servers/{server['id']}")["server"]["status"])


def test_the_answer_to_a_create(rig: Rig) -> None:
    answer = rig.ask("POST", "/servers", BASE, 201)
    assert set(answer) == {"server", "action", "next_actions", "root_password"}
    assert answer["root_password"]  # no keys were given
    assert answer["action"]["command"] == "create_server"
    assert [action["command"] for action in answer["next_actions"]] == ["start_server"]
    server = answer["server"]
    assert server["status"] == "initializing"
    assert server["image"]["name"] == "debian-13"
    assert server["public_net"]["ipv6"]["ip"] == "2001:db8:5ec:1::/64"
    assert server["public_net"]["firewalls"] == server["public_net"]["floating_ips"] == []
    assert server["labels"] == {}
    rig.done(answer)
    assert rig.backend.servers[server["id"]].root_password == answer["root_password"]
    stored = rig.cloud.store.all(None, "server")[0]
    assert stored["root_password"] is None  # the state forgets it


def test_creates_that_are_refused(rig: Rig) -> None:
    make(rig)
    table: list[tuple[Json, tuple[int, str]]] = [
        ({"name": "s"}, (409, "uniqueness_error")),
        ({"name": "-a"}, (422, "invalid_input")),
        ({"name": "a_b"}, (422, "invalid_input")),
        ({"name": "x" * 64}, (422, "invalid_input")),
        ({"server_type": "cx99"}, (422, "invalid_input")),
        ({"image": "debian-1"}, (422, "invalid_input")),
        ({"image": "ubuntu-22.04"}, (412, "resource_unavailable")),  # the backend can't make it
        ({"server_type": "cax11"}, (412, "resource_unavailable")),
        ({"location": "ash"}, (412, "resource_unavailable")),
        ({"location": "moon"}, (422, "invalid_input")),
        ({"ssh_keys": [4711]}, (404, "not_found")),
        ({"user_data": "x" * 32769}, (422, "invalid_input")),
        ({"user_data": "ü" * 16385}, (422, "invalid_input")),
        ({"public_net": {"enable_ipv4": False, "enable_ipv6": False}}, (422, "invalid_input")),
        ({"labels": {"-": "x"}}, (422, "invalid_input")),
        ({"networks": [4711]}, (404, "not_found")),
        ({"start_after_create": "no"}, (422, "invalid_input")),
    ]
    for fields, expected in table:
        assert rig.error("POST", "/servers", {**BASE, "name": "t", **fields}) == expected, fields
    assert len(rig.ask("GET", "/servers")["servers"]) == 1
    assert len(rig.ask("GET", "/primary_ips")["primary_ips"]) == 2
    rig.ask("POST", "/servers", {**BASE, "name": "t", "user_data": "x" * 32768}, 201)


def test_power(rig: Rig) -> None:
    server = make(rig)
    assert server["status"] == "running"
    act(rig, server, "poweron")  # of a running server: succeeds
    act(rig, server, "poweroff")
    assert status(rig, server) == "off"
    act(rig, server, "poweron")
    assert status(rig, server) == "running"
    act(rig, server, "reset")
    act(rig, server, "reboot")
    assert status(rig, server) == "running"
    act(rig, server, "shutdown")
    assert ("stop_server", server["id"], False) in rig.backend.calls
    assert status(rig, server) == "off"


def test_the_machine_says_whether_it_runs(rig: Rig) -> None:
    server = make(rig)
    rig.backend.running.clear()  # poweroff inside the guest
    assert status(rig, server) == "off"


def test_a_second_power_action_is_refused_and_others_wait(rig: Rig) -> None:
    server = make(rig)
    network = rig.ask("POST", "/networks", {"name": "n", "ip_range": "10.0.0.0/16"})["network"]
    subnet = {"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}
    rig.done(rig.ask("POST", f"/networks/{network['id']}/actions/add_subnet", subnet, 201))
    rig.backend.delay = 0.3
    path = f"/servers/{server['id']}/actions"
    first = rig.ask("POST", f"{path}/poweroff", None, 201)
    assert rig.error("POST", f"{path}/poweron") == (423, "locked")
    assert rig.error("DELETE", f"/servers/{server['id']}") == (423, "locked")
    second = rig.ask("POST", f"{path}/attach_to_network", {"network": network["id"]}, 201)
    rig.done(second)
    assert rig.ask("GET", f"/actions/{first['action']['id']}")["action"]["status"] == "success"
    order = [call[0] for call in rig.backend.calls]
    assert order.index("stop_server") < order.index("attach_network")


def test_rebuild(rig: Rig) -> None:
    server = make(rig)
    answer = act(rig, server, "rebuild", {"image": "debian-12"})
    assert answer["root_password"]
    again = rig.ask("GET", f"/servers/{server['id']}")["server"]
    assert (again["image"]["name"], again["status"]) == ("debian-12", "running")
    assert again["public_net"] == server["public_net"]
    assert rig.backend.servers[server["id"]].root_password == answer["root_password"]
    act(rig, server, "change_protection", {"delete": True, "rebuild": True})
    path = f"/servers/{server['id']}"
    assert rig.error("POST", f"{path}/actions/rebuild", {"image": "debian-12"}) == (423, "protected")
    assert rig.error("DELETE", path) == (423, "protected")


def test_change_type_needs_a_stopped_server_and_starts_it(rig: Rig) -> None:
    server = make(rig)
    path = f"/servers/{server['id']}/actions/change_type"
    bigger = {"server_type": "cx33", "upgrade_disk": True}
    assert rig.error("POST", path, bigger) == (422, "server_not_stopped")
    act(rig, server, "poweroff")
    assert rig.error("POST", path, {"server_type": "cax11", "upgrade_disk": False}) == (422, "invalid_server_type")
    act(rig, server, "change_type", bigger)
    again = rig.ask("GET", f"/servers/{server['id']}")["server"]
    assert (again["status"], again["server_type"]["name"], again["primary_disk_size"]) == ("running", "cx33", 80)
    assert rig.backend.servers[server["id"]].memory_gb == 8
    act(rig, server, "poweroff")
    assert rig.error("POST", path, {"server_type": "cx23", "upgrade_disk": False}) == (422, "invalid_server_type")


def test_protection_backups_and_reverse_names(rig: Rig) -> None:
    server = make(rig)
    ip = server["public_net"]["ipv4"]["ip"]
    default = server["public_net"]["ipv4"]["dns_ptr"]
    for action, body in (
        ("enable_backup", None),
        ("change_dns_ptr", {"ip": ip, "dns_ptr": "a.example"}),
        ("change_dns_ptr", {"ip": "2001:db8:5ec:1::1", "dns_ptr": "b.example"}),
    ):
        act(rig, server, action, body)
    again = rig.ask("GET", f"/servers/{server['id']}")["server"]
    assert again["backup_window"] == "22-02"
    assert again["public_net"]["ipv4"]["dns_ptr"] == "a.example"
    assert again["public_net"]["ipv6"]["dns_ptr"] == [{"ip": "2001:db8:5ec:1::1", "dns_ptr": "b.example"}]
    act(rig, server, "disable_backup")
    act(rig, server, "change_dns_ptr", {"ip": ip, "dns_ptr": None})
    again = rig.ask("GET", f"/servers/{server['id']}")["server"]
    assert (again["backup_window"], again["public_net"]["ipv4"]["dns_ptr"]) == (None, default)
    path = f"/servers/{server['id']}/actions/change_dns_ptr"
    assert rig.error("POST", path, {"ip": "198.51.100.99", "dns_ptr": "x"}) == (422, "invalid_input")


def test_deletion_frees_what_stays(rig: Rig) -> None:
    ip = rig.ask("POST", "/primary_ips", {"name": "ip", "type": "ipv4", "location": "fsn1"}, 201)["primary_ip"]
    group = rig.ask("POST", "/placement_groups", {"name": "g", "type": "spread"}, 201)["placement_group"]
    rules = [{"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0"]}]
    firewall = rig.ask("POST", "/firewalls", {"name": "f", "rules": rules}, 201)["firewall"]
    volume = rig.done(rig.ask("POST", "/volumes", {"name": "v", "size": 10, "location": "fsn1"}, 201))["volume"]
    server = make(
        rig,
        public_net={"ipv4": ip["id"]},
        placement_group=group["id"],
        firewalls=[{"firewall": firewall["id"]}],
        volumes=[volume["id"]],
    )
    assert server["volumes"] == [volume["id"]]
    assert server["placement_group"]["id"] == group["id"]
    assert rig.error("DELETE", f"/firewalls/{firewall['id']}") == (422, "resource_in_use")
    assert rig.error("DELETE", f"/placement_groups/{group['id']}") == (422, "resource_in_use")
    assert rig.error("DELETE", f"/volumes/{volume['id']}") == (422, "service_error")
    assert rig.error("DELETE", f"/primary_ips/{ip['id']}") == (422, "must_be_unassigned")
    answer = rig.ask("DELETE", f"/servers/{server['id']}", status=200)
    rig.done(answer)
    assert rig.error("GET", f"/servers/{server['id']}") == (404, "not_found")
    assert rig.ask("GET", f"/actions?id={answer['action']['id']}")["actions"][0]["status"] == "success"
    assert rig.ask("GET", f"/volumes/{volume['id']}")["volume"]["server"] is None
    assert rig.ask("GET", f"/firewalls/{firewall['id']}")["firewall"]["applied_to"] == []
    assert rig.ask("GET", f"/placement_groups/{group['id']}")["placement_group"]["servers"] == []
    assert [row["id"] for row in rig.ask("GET", "/primary_ips")["primary_ips"]] == [ip["id"]]
    for path in (f"/firewalls/{firewall['id']}", f"/placement_groups/{group['id']}", f"/volumes/{volume['id']}"):
        rig.ask("DELETE", path, status=204)
    rig.ask("DELETE", f"/primary_ips/{ip['id']}", status=204)
    wait_for(lambda: rig.backend.volumes == {}, 5, "the volume's data is gone", 0.01)


def test_primary_ips_move_between_stopped_servers(rig: Rig) -> None:
    ip = rig.ask("POST", "/primary_ips", {"name": "ip", "type": "ipv4", "location": "fsn1"}, 201)["primary_ip"]
    assert (ip["assignee_id"], ip["assignee_type"]) == (None, "server")
    server = make(rig, public_net={"enable_ipv4": False})
    assert server["public_net"]["ipv4"] is None
    body = {"assignee_id": server["id"], "assignee_type": "server"}
    path = f"/primary_ips/{ip['id']}/actions"
    assert rig.error("POST", f"{path}/assign", body) == (422, "server_not_stopped")
    act(rig, server, "poweroff")
    rig.done(rig.ask("POST", f"{path}/assign", body, 201))
    assert rig.error("POST", f"{path}/assign", body) == (422, "primary_ip_already_assigned")
    assert rig.ask("GET", f"/servers/{server['id']}")["server"]["public_net"]["ipv4"]["id"] == ip["id"]
    assert rig.backend.servers[server["id"]].ipv4 == ip["ip"]
    act(rig, server, "poweron")
    assert rig.error("POST", f"{path}/unassign") == (422, "server_not_stopped")
    act(rig, server, "poweroff")
    rig.done(rig.ask("POST", f"{path}/unassign", None, 201))
    assert rig.backend.servers[server["id"]].ipv4 is None
    given = {**BASE, "name": "t", "public_net": {"ipv6": ip["id"]}}
    assert rig.error("POST", "/servers", given) == (422, "primary_ip_version_mismatch")
    elsewhere = {**BASE, "name": "t", "location": "hel1", "public_net": {"ipv4": ip["id"]}}
    assert rig.error("POST", "/servers", elsewhere) == (422, "primary_ip_datacenter_mismatch")


def test_placement_groups(rig: Rig) -> None:
    group = rig.ask("POST", "/placement_groups", {"name": "g", "type": "spread"}, 201)
    assert group["action"] is None
    group_id = group["placement_group"]["id"]
    server = make(rig)
    path = f"/servers/{server['id']}/actions/add_to_placement_group"
    assert rig.error("POST", path, {"placement_group": group_id}) == (422, "server_not_stopped")
    act(rig, server, "poweroff")
    act(rig, server, "add_to_placement_group", {"placement_group": group_id})
    for number in range(9):
        rig.ask("POST", "/servers", {**BASE, "name": f"m{number}", "placement_group": group_id}, 201)
    assert rig.error("POST", "/servers", {**BASE, "name": "x", "placement_group": group_id}) == (422, "placement_error")
    act(rig, server, "remove_from_placement_group")
    assert len(rig.ask("GET", f"/placement_groups/{group_id}")["placement_group"]["servers"]) == 9


def test_server_without_interfaces_comes_up_after_an_attach(rig: Rig) -> None:
    """How the provider makes a private server: not started, attached, powered on."""
    bare = {"public_net": {"enable_ipv4": False, "enable_ipv6": False}, "start_after_create": False}
    answer = rig.done(rig.ask("POST", "/servers", {**BASE, **bare}, 201))
    assert answer["next_actions"] == []
    server = answer["server"]
    assert status(rig, server) == "off"
    assert rig.error("POST", f"/servers/{server['id']}/actions/poweron") == (422, "unsupported_error")
    subnets = [{"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}]
    network = rig.ask("POST", "/networks", {"name": "n", "ip_range": "10.0.0.0/16", "subnets": subnets}, 201)["network"]
    act(rig, server, "attach_to_network", {"network": network["id"]})
    act(rig, server, "poweron")
    assert status(rig, server) == "running"


def test_a_console_is_promised_as_on_hetzner(rig: Rig) -> None:
    server = make(rig)
    answer = rig.client().servers.get_by_id(server["id"]).request_console()
    assert answer.wss_url.startswith("wss://127.0.0.1:")
    assert f"server_id={server['id']}" in answer.wss_url
    assert answer.action.command == "request_console"
    assert answer.password


def test_metrics_through_the_client(rig: Rig) -> None:
    server = make(rig)
    client = rig.client()
    metrics = client.servers.get_metrics(
        Server(id=server["id"]), ["cpu", "disk"], "2026-01-01T00:00:00+00:00", "2026-01-01T01:00:00+00:00"
    )
    assert metrics.metrics.time_series is not None
    assert set(metrics.metrics.time_series) >= {"cpu", "disk.0.iops.read"}


def test_a_type_that_is_sold_out_can_not_be_ordered_and_servers_of_it_stay(rig: Rig) -> None:
    kept = make(rig)
    rig.cloud.store.set_unavailable({("cx23", "fsn1")})
    assert rig.error("POST", "/servers", {**BASE, "name": "t"}) == (412, "resource_unavailable")
    make(rig, name="elsewhere", location="nbg1")
    anywhere = {key: value for key, value in BASE.items() if key != "location"}
    assert rig.ask("POST", "/servers", {**anywhere, "name": "u"}, 201)["server"]["location"]["name"] != "fsn1"
    (size,) = rig.ask("GET", "/server_types?name=cx23")["server_types"]
    assert {place["name"]: place["available"] for place in size["locations"]}["fsn1"] is False
    assert rig.ask("GET", f"/server_types/{size['id']}")["server_type"] == size
    assert status(rig, kept) == "running"
    rig.cloud.store.set_unavailable(set())
    make(rig, name="t")
