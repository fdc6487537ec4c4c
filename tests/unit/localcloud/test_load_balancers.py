"""Load balancers through hcloud-python: the whole life, services, targets, networks, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import (
    BoundLoadBalancer,
    LoadBalancerAlgorithm,
    LoadBalancerHealthCheck,
    LoadBalancerHealthCheckHttp,
    LoadBalancerService,
    LoadBalancerTarget,
    LoadBalancerTargetIP,
    LoadBalancerTargetLabelSelector,
)
from hcloud.locations import Location

from localcloud import certs
from tests.support import wait_for
from tests.unit.localcloud.conftest import Json, Rig

SERVER = {"name": "a", "server_type": "cx23", "image": "debian-13", "location": "fsn1", "labels": {"role": "web"}}
LB = {"name": "lb", "load_balancer_type": "lb11", "location": "fsn1"}


@pytest.fixture
def balancer(rig: Rig) -> BoundLoadBalancer:
    """A load balancer without anything."""
    made = rig.client().load_balancers.create("lb", LoadBalancerType(name="lb11"), location=Location(name="fsn1"))
    made.action.wait_until_finished()
    return made.load_balancer


def _server(rig: Rig, name: str, **more: Any) -> Json:
    server: Json = rig.done(rig.ask("POST", "/servers", {**SERVER, "name": name, **more}, 201))["server"]
    return server


def _network(rig: Rig) -> Json:
    subnets = [{"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}]
    network: Json = rig.ask("POST", "/networks", {"name": "n", "ip_range": "10.0.0.0/16", "subnets": subnets}, 201)
    return dict(network["network"])


def _act(rig: Rig, balancer: BoundLoadBalancer, action: str, body: Any) -> Json:
    return rig.done(rig.ask("POST", f"/load_balancers/{balancer.id}/actions/{action}", body, 201))


def _shown(rig: Rig, balancer: BoundLoadBalancer) -> Json:
    return dict(rig.ask("GET", f"/load_balancers/{balancer.id}", status=200)["load_balancer"])


def test_life(rig: Rig, balancer: BoundLoadBalancer) -> None:
    assert balancer.id is not None
    client = rig.client()
    assert balancer.algorithm
    assert balancer.algorithm.type == "round_robin"
    assert balancer.public_net
    assert balancer.public_net.ipv4
    assert str(balancer.public_net.ipv4.ip).startswith("198.51.100.")
    assert balancer.update("front", {"app": "x"}).name == "front"
    assert [row.id for row in client.load_balancers.get_all("front", "app=x")] == [balancer.id]
    balancer.change_algorithm(LoadBalancerAlgorithm(type="least_connections")).wait_until_finished()
    balancer.change_type(LoadBalancerType(name="lb21")).wait_until_finished()
    balancer.change_dns_ptr(str(balancer.public_net.ipv4.ip), "lb.example.org").wait_until_finished()
    spec = rig.backend.balancers[balancer.id]
    assert (spec.algorithm, spec.max_connections) == ("least_connections", 20000)
    shown = _shown(rig, balancer)
    assert shown["load_balancer_type"]["name"] == "lb21"
    assert shown["public_net"]["ipv4"]["dns_ptr"] == "lb.example.org"
    balancer.change_protection(delete=True).wait_until_finished()
    assert rig.error("DELETE", f"/load_balancers/{balancer.id}") == (423, "protected")
    balancer.change_protection(delete=False).wait_until_finished()
    balancer.delete()
    assert rig.error("GET", f"/load_balancers/{balancer.id}") == (404, "not_found")
    wait_for(lambda: rig.backend.balancers == {}, 5, "the load balancer is gone", 0.01)
    last = client.load_balancers.actions.get_all()[-1]
    assert last.command == "delete_load_balancer"


def test_service_defaults_and_merge(rig: Rig, balancer: BoundLoadBalancer) -> None:
    balancer.add_service(LoadBalancerService(protocol="http")).wait_until_finished()
    assert _shown(rig, balancer)["services"] == [{
        "protocol": "http", "listen_port": 80, "destination_port": 80, "proxyprotocol": False,
        "http": {"sticky_sessions": False, "cookie_name": "HCLBSTICKY", "cookie_lifetime": 300, "timeout_idle": 60,
                 "certificates": [], "redirect_http": False},
        "health_check": {"protocol": "http", "port": 80, "interval": 15, "timeout": 10, "retries": 3,
                         "http": {"domain": "", "path": "/", "response": "", "status_codes": ["2??", "3??"],
                                  "tls": False}},
    }]  # fmt: skip
    check = LoadBalancerHealthCheck(
        protocol="http", port=8080, interval=5, timeout=3, retries=2,
        http=LoadBalancerHealthCheckHttp(path="/healthz", status_codes=["200"], domain="", response="ok", tls=True),
    )  # fmt: skip
    balancer.update_service(LoadBalancerService(listen_port=80, health_check=check)).wait_until_finished()
    _act(rig, balancer, "update_service", {"listen_port": 80, "http": {"sticky_sessions": True}})
    service = _shown(rig, balancer)["services"][0]
    assert service["health_check"]["http"] == {
        "domain": "", "path": "/healthz", "response": "ok", "status_codes": ["200"], "tls": True,
    }  # fmt: skip
    assert (service["http"]["sticky_sessions"], service["destination_port"]) == (True, 80)
    _act(rig, balancer, "add_service", {"protocol": "tcp", "listen_port": 5432, "destination_port": 5432})
    assert _shown(rig, balancer)["services"][1]["http"] is None
    balancer.delete_service(LoadBalancerService(listen_port=80)).wait_until_finished()
    assert [row["listen_port"] for row in _shown(rig, balancer)["services"]] == [5432]


SERVICES: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"protocol": "udp", "listen_port": 53, "destination_port": 53}, (422, "invalid_input")),
    ({"protocol": "tcp"}, (422, "invalid_input")),
    ({"protocol": "tcp", "listen_port": 80, "destination_port": 1}, (422, "source_port_already_used")),
    ({"protocol": "https"}, (422, "invalid_input")),
    ({"protocol": "https", "http": {"certificates": [1]}}, (404, "not_found")),
    ({"protocol": "http", "listen_port": 81, "http": {"redirect_http": True}}, (422, "invalid_input")),
    ({"protocol": "http", "listen_port": 81, "http": {"cookie_name": "a b"}}, (422, "invalid_input")),
    ({"protocol": "http", "listen_port": 81, "health_check": {"protocol": "https"}}, (422, "invalid_input")),
    ({"protocol": "http", "listen_port": 81, "health_check": {"interval": 1}}, (422, "invalid_input")),
    ({"protocol": "http", "listen_port": 81, "health_check": {"http": {"path": "/\nbind"}}}, (422, "invalid_input")),
    ({"protocol": "http", "listen_port": 81, "health_check": {"http": {"status_codes": ["2xx"]}}},
     (422, "invalid_input")),
]  # fmt: skip


def test_services_refused(rig: Rig, balancer: BoundLoadBalancer) -> None:
    path = f"/load_balancers/{balancer.id}/actions"
    _act(rig, balancer, "add_service", {"protocol": "http"})
    for body, expected in SERVICES:
        assert rig.error("POST", f"{path}/add_service", body) == expected, body
    for port in (81, 82, 83, 84):
        _act(rig, balancer, "add_service", {"protocol": "http", "listen_port": port})
    too_many = {"protocol": "http", "listen_port": 85}
    assert rig.error("POST", f"{path}/add_service", too_many) == (403, "resource_limit_exceeded")
    for action in ("update_service", "delete_service"):
        assert rig.error("POST", f"{path}/{action}", {"listen_port": 9}) == (404, "not_found")


def test_https(rig: Rig, balancer: BoundLoadBalancer, tmp_path: Path) -> None:
    assert balancer.id is not None
    certs.ensure(tmp_path)
    chain, key = certs.issue(tmp_path, ["a.example.org"])
    certificate = rig.client().certificates.create("c", chain, key)
    _act(
        rig,
        balancer,
        "add_service",
        {"protocol": "https", "http": {"certificates": [certificate.id], "redirect_http": True}},
    )
    assert key in rig.backend.balancers[balancer.id].certificates[int(certificate.id or 0)]
    path = f"/certificates/{certificate.id}"
    assert rig.ask("GET", path)["certificate"]["used_by"] == [{"id": balancer.id, "type": "load_balancer"}]
    assert rig.error("DELETE", path) == (422, "resource_in_use")
    both = {"protocol": "http", "listen_port": 80}
    answer = rig.error("POST", f"/load_balancers/{balancer.id}/actions/add_service", both)
    assert answer == (422, "source_port_already_used")
    _act(rig, balancer, "delete_service", {"listen_port": 443})
    rig.ask("DELETE", path, status=204)


def test_targets(rig: Rig, balancer: BoundLoadBalancer) -> None:
    """A server by name and by label is asked once; labels are live; a deleted server is no target any more."""
    assert balancer.id is not None
    server, other = _server(rig, "a"), _server(rig, "b", labels={})
    addresses = [row["public_net"]["ipv4"]["ip"] for row in (server, other)]
    one = rig.client().servers.get_by_id(server["id"])
    balancer.add_target(LoadBalancerTarget(type="server", server=one)).wait_until_finished()
    by_label = LoadBalancerTarget(type="label_selector", label_selector=LoadBalancerTargetLabelSelector("role=web"))
    balancer.add_target(by_label).wait_until_finished()
    outside = LoadBalancerTarget(type="ip", ip=LoadBalancerTargetIP(ip="192.0.2.7"))
    balancer.add_target(outside).wait_until_finished()
    _act(rig, balancer, "add_service", {"protocol": "http"})
    assert rig.backend.balancers[balancer.id].targets == (addresses[0], "192.0.2.7")
    rig.backend.health[balancer.id] = {(addresses[0], 80): "healthy"}
    targets = _shown(rig, balancer)["targets"]
    assert targets[0]["health_status"] == [{"listen_port": 80, "status": "healthy"}]
    assert targets[1]["targets"][0]["server"] == {"id": server["id"]}
    assert targets[2]["health_status"] == [{"listen_port": 80, "status": "unknown"}]
    assert rig.ask("GET", f"/servers/{server['id']}")["server"]["load_balancers"] == [balancer.id]
    rig.ask("PUT", f"/servers/{other['id']}", {"labels": {"role": "web"}}, 200)
    both = (addresses[0], addresses[1], "192.0.2.7")
    wait_for(lambda: rig.backend.balancers[balancer.id or 0].targets == both, 5, "the label counts", 0.01)
    refused: list[tuple[Json, tuple[int, str]]] = [
        ({"type": "server", "server": {"id": server["id"]}}, (422, "target_already_defined")),
        ({"type": "server", "server": {"id": 1}}, (404, "not_found")),
        ({"type": "server"}, (422, "invalid_input")),
        ({"type": "server", "server": {"id": other["id"]}, "use_private_ip": True},
         (422, "load_balancer_not_attached_to_network")),
        ({"type": "label_selector", "label_selector": {"selector": "a=b=c"}}, (422, "invalid_input")),
        ({"type": "ip", "ip": {"ip": addresses[0]}}, (422, "cloud_resource_ip_not_allowed")),
        ({"type": "ip", "ip": {"ip": "nowhere"}}, (422, "invalid_input")),
    ]  # fmt: skip
    for body, expected in refused:
        assert rig.error("POST", f"/load_balancers/{balancer.id}/actions/add_target", body) == expected, body
    rig.done(rig.ask("DELETE", f"/servers/{server['id']}"))
    assert [row["type"] for row in _shown(rig, balancer)["targets"]] == ["label_selector", "ip"]
    rest = (addresses[1], "192.0.2.7")
    wait_for(lambda: rig.backend.balancers[balancer.id or 0].targets == rest, 5, "the server is gone", 0.01)
    balancer.remove_target(outside).wait_until_finished()
    balancer.remove_target(by_label).wait_until_finished()
    body = {"type": "ip", "ip": {"ip": "192.0.2.7"}}
    answer = rig.error("POST", f"/load_balancers/{balancer.id}/actions/remove_target", body)
    assert answer == (422, "load_balancer_target_not_found")
    assert rig.backend.balancers[balancer.id].targets == ()


def test_private_network(rig: Rig, balancer: BoundLoadBalancer) -> None:
    assert balancer.id is not None
    network, server = _network(rig), _server(rig, "a")
    path = f"/load_balancers/{balancer.id}/actions"
    assert rig.error("POST", f"{path}/disable_public_interface") == (422, "load_balancer_not_attached_to_network")
    _act(rig, balancer, "attach_to_network", {"network": network["id"], "ip": "10.0.1.7"})
    assert _shown(rig, balancer)["private_net"] == [{"network": network["id"], "ip": "10.0.1.7"}]
    again = {"network": network["id"]}
    assert rig.error("POST", f"{path}/attach_to_network", again) == (422, "load_balancer_already_attached")
    private = {"type": "server", "server": {"id": server["id"]}, "use_private_ip": True}
    assert rig.error("POST", f"{path}/add_target", private) == (422, "server_not_attached_to_network")
    taken = {"network": network["id"], "ip": "10.0.1.7"}
    assert rig.error("POST", f"/servers/{server['id']}/actions/attach_to_network", taken) == (422, "ip_not_available")
    rig.done(rig.ask("POST", f"/servers/{server['id']}/actions/attach_to_network", {"network": network["id"]}, 201))
    _act(rig, balancer, "add_target", private)
    assert rig.backend.balancers[balancer.id].targets == ("10.0.1.1",)
    _act(rig, balancer, "disable_public_interface", {})
    assert rig.backend.balancers[balancer.id].ipv4 is None
    public = {"type": "label_selector", "label_selector": {"selector": "role"}, "use_private_ip": False}
    assert rig.error("POST", f"{path}/add_target", public) == (422, "load_balancer_public_interface_disabled")
    _act(rig, balancer, "enable_public_interface", {})
    shown = rig.ask("GET", f"/networks/{network['id']}")["network"]
    assert (shown["servers"], shown["load_balancers"]) == ([server["id"]], [balancer.id])
    members = rig.ask("GET", f"/networks/{network['id']}/members")["members"]
    assert [row["type"] for row in members] == ["server", "load_balancer"]
    rig.done(rig.ask("POST", f"/servers/{server['id']}/actions/detach_from_network", {"network": network["id"]}, 201))
    subnet = {"ip_range": "10.0.1.0/24"}
    answer = rig.ask("POST", f"/networks/{network['id']}/actions/delete_subnet", subnet, 422)["error"]
    assert "network has attached resources" in answer["message"]
    _act(rig, balancer, "detach_from_network", {"network": network["id"]})
    assert rig.backend.balancers[balancer.id].nics == ()
    rig.done(rig.ask("POST", f"/networks/{network['id']}/actions/delete_subnet", subnet, 201))


def test_a_network_goes_with_its_load_balancers_attached(rig: Rig) -> None:
    network = _network(rig)
    made = rig.done(rig.ask("POST", "/load_balancers", {**LB, "network": network["id"]}, 201))["load_balancer"]
    assert made["private_net"] == [{"network": network["id"], "ip": "10.0.1.1"}]
    rig.ask("DELETE", f"/networks/{network['id']}", status=204)
    assert rig.ask("GET", f"/load_balancers/{made['id']}")["load_balancer"]["private_net"] == []
    wait_for(lambda: rig.backend.balancers[made["id"]].nics == (), 5, "it is out of the network", 0.01)


CREATES: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"location": None}, (422, "invalid_input")),
    ({"network_zone": "eu-central"}, (422, "invalid_input")),
    ({"load_balancer_type": "lb99"}, (422, "invalid_input")),
    ({"algorithm": {"type": "random"}}, (422, "invalid_input")),
    ({"public_interface": False}, (422, "invalid_input")),
    ({"services": [{"protocol": "http"}, {"protocol": "http"}]}, (422, "source_port_already_used")),
    ({"targets": [{"type": "server", "server": {"id": 1}}]}, (404, "not_found")),
    ({"name": "taken"}, (409, "uniqueness_error")),
]


def test_creates_refused(rig: Rig) -> None:
    """Nothing half made stays; addresses of load balancers are nobody else's."""
    rig.ask("POST", "/load_balancers", {**LB, "name": "taken"}, 201)
    for change, expected in CREATES:
        assert rig.error("POST", "/load_balancers", {**LB, **change}) == expected, change
    rows = rig.ask("GET", "/load_balancers")["load_balancers"]
    assert [row["name"] for row in rows] == ["taken"]
    ip = rig.ask("POST", "/primary_ips", {"name": "p", "type": "ipv4", "location": "fsn1"}, 201)["primary_ip"]["ip"]
    assert ip != rows[0]["public_net"]["ipv4"]["ip"]


def test_metrics(rig: Rig, balancer: BoundLoadBalancer) -> None:
    query = "type=bandwidth,open_connections&start=2026-01-01T00:00:00Z&end=2026-01-01T01:00:00Z"
    series = rig.ask("GET", f"/load_balancers/{balancer.id}/metrics?{query}", status=200)["metrics"]["time_series"]
    assert set(series) == {"open_connections", "bandwidth.in", "bandwidth.out"}
    assert rig.error("GET", f"/load_balancers/{balancer.id}/metrics?type=joy") == (422, "invalid_input")
