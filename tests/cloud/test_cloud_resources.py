"""Load balancer, floating IP, snapshot and rescue system on real machines: one server and a copy of it."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hcloud import Client
from hcloud.images import Image
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import (
    BoundLoadBalancer,
    LoadBalancerHealthCheck,
    LoadBalancerHealthCheckHttp,
    LoadBalancerService,
    LoadBalancerTarget,
)
from hcloud.locations import Location
from hcloud.networks import NetworkSubnet
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer

from tests.cloud.conftest import LocalCloud, id_of
from tests.support import wait_for

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(300)]

WEB = "systemd-run --unit=web -q python3 -m http.server 8080 -d /srv"


def _page(ip: str, port: int = 8080) -> str:
    """What the host gets from there; empty if nothing."""
    command = ["curl", "-sS", "-m", "3", f"http://{ip}:{port}/"]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout


def _healthy(client: Client, balancer: BoundLoadBalancer) -> bool:
    targets = client.load_balancers.get_by_id(id_of(balancer)).targets or []
    states = [state.status for target in targets for state in target.health_status or []]
    return states == ["healthy"]


def _service(path: str = "/") -> LoadBalancerService:
    http = LoadBalancerHealthCheckHttp(domain="", path=path, response="hello", status_codes=["200"], tls=False)
    check = LoadBalancerHealthCheck(protocol="http", port=8080, interval=3, timeout=2, retries=1, http=http)
    return LoadBalancerService(protocol="http", listen_port=80, destination_port=8080, health_check=check)


def _ip(server: BoundServer) -> str:
    assert server.public_net is not None
    assert server.public_net.ipv4 is not None
    return str(server.public_net.ipv4.ip)


def test_traffic_reaches_the_server_by_every_way(local_cloud: LocalCloud, project: Client) -> None:
    server = local_cloud.boot(project, "web")
    number = id_of(server)
    local_cloud.wait_cloud_init(number)
    local_cloud.inside(number, f"echo hello >/srv/index.html; {WEB}")
    wait_for(lambda: "hello" in _page(_ip(server)), 20, "the server answers")

    made = project.load_balancers.create(
        "lb", LoadBalancerType(name="lb11"), location=Location(name="fsn1"), services=[_service()],
        targets=[LoadBalancerTarget(type="server", server=server, use_private_ip=False)],
    )  # fmt: skip
    made.action.wait_until_finished()
    balancer = project.load_balancers.get_by_id(id_of(made.load_balancer))
    assert balancer.public_net is not None
    assert balancer.public_net.ipv4 is not None
    address = str(balancer.public_net.ipv4.ip)
    wait_for(lambda: _healthy(project, balancer), 30, "the target is healthy")
    assert "hello" in _page(address, 80)

    subnet = NetworkSubnet(ip_range="10.0.1.0/24", type="cloud", network_zone="eu-central")
    network = project.networks.create("n", "10.0.0.0/16", subnets=[subnet])
    server.attach_to_network(network).wait_until_finished()
    balancer.remove_target(LoadBalancerTarget(type="server", server=server)).wait_until_finished()
    assert "503" in _page(address, 80)
    balancer.attach_to_network(network).wait_until_finished()
    private = LoadBalancerTarget(type="server", server=server, use_private_ip=True)
    balancer.add_target(private).wait_until_finished()
    wait_for(lambda: _healthy(project, balancer), 30, "the private target is healthy")
    assert "hello" in _page(address, 80)
    balancer.update_service(_service("/nothing")).wait_until_finished()
    wait_for(lambda: "503" in _page(address, 80), 30, "an unhealthy target gets no requests")

    created = project.floating_ips.create("ipv4", server=server)
    assert created.action is not None
    created.action.wait_until_finished()
    floating = str(created.floating_ip.ip)
    local_cloud.inside(number, f"ip addr add {floating}/32 dev eth0")
    wait_for(lambda: "hello" in _page(floating), 20, "the floating IP leads to the server")
    created.floating_ip.unassign().wait_until_finished()
    assert _page(floating) == ""
    _measured(project, server, balancer)
    assert local_cloud.cli("check").returncode == 0


def _measured(project: Client, server: BoundServer, balancer: BoundLoadBalancer) -> None:
    """Metrics have values of what went on."""

    def values(name: str) -> list[float]:
        end = datetime.now(UTC)
        start = end - timedelta(hours=1)
        found = project.servers.get_metrics(server, ["cpu", "disk", "network"], start, end).metrics.time_series or {}
        of_balancer = project.load_balancers.get_metrics(balancer, "requests_per_second", start, end).metrics
        found = {**found, **(of_balancer.time_series or {})}
        return [float(value) for _, value in found[name]["values"]]

    assert balancer.public_net is not None
    assert balancer.public_net.ipv4 is not None
    address = str(balancer.public_net.ipv4.ip)
    names = ("cpu", "network.0.bandwidth.in", "disk.0.iops.write", "requests_per_second")

    def all_seen() -> bool:
        _page(address, 80)
        _page(_ip(server))  # the balancer asks it over the private network, which is not in these metrics
        return all(any(value > 0 for value in values(name)) for name in names)

    wait_for(all_seen, 120, "there are metrics", 2)  # two values need three samples, ten seconds apart


def test_a_copy_and_a_rescue(local_cloud: LocalCloud, project: Client) -> None:
    server = local_cloud.boot(project, "original")
    number = id_of(server)
    local_cloud.wait_cloud_init(number)
    local_cloud.inside(number, "echo kept >/root/kept; sync")
    image = server.create_image("kept", "snapshot")
    image.action.wait_until_finished()
    created = project.servers.create(
        "copy", ServerType(name="cx23"), Image(id=image.image.id), location=Location(name="fsn1")
    )
    for action in (created.action, *created.next_actions):
        action.wait_until_finished()
    copy = id_of(created.server)
    local_cloud.wait_cloud_init(copy)
    assert local_cloud.inside(copy, "cat /root/kept; hostname").split() == ["kept", "copy"]
    server.enable_rescue("linux64")
    server.reset().wait_until_finished()
    seen = wait_for(
        lambda: local_cloud.inside(number, "cat /mnt/root/kept", check=False), 30, "the rescue system is up"
    )
    assert seen.strip() == "kept"
    assert local_cloud.inside(number, "ls /root/kept", check=False).strip() == ""
    server.reset().wait_until_finished()
    seen = wait_for(lambda: local_cloud.inside(number, "cat /root/kept", check=False), 30, "its own system is back")
    assert seen.strip() == "kept"
    assert local_cloud.cli("check").returncode == 0
