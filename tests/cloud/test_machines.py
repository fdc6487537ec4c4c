"""Real machines: boot, packages, power, firewalls, volumes, private networks."""

from __future__ import annotations

import shlex
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from hcloud import Client
from hcloud.firewalls.domain import FirewallRule
from hcloud.locations import Location
from hcloud.networks import Network, NetworkRoute, NetworkSubnet
from hcloud.servers import BoundServer

from tests.cloud.conftest import LocalCloud, id_of
from tests.support import wait_for

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(300)]

CONTAINER_ENGINE = """
import ctypes, os, pathlib, platform
keyctl = {"x86_64": 250, "aarch64": 219}[platform.machine()]
print("keyring", ctypes.CDLL(None).syscall(keyctl, 1, None) > 0)  # 1: join a new session keyring
os.mknod("/root/node", 0o60600, os.makedev(7, 200))  # no volume of this machine
try:
    os.open("/root/node", os.O_RDONLY)
    print("foreign device opened")
except PermissionError:
    print("foreign device refused")
except OSError as error:
    print("foreign device", error.strerror)
os.unlink("/root/node")
groups = pathlib.Path("/sys/fs/cgroup")
first = groups / "devices" / "docker-like"
if first.parent.is_dir():
    first.mkdir()
    for file, rule in (("deny", "a"), ("allow", "c *:* m"), ("allow", "b *:* m"), ("allow", "c 1:3 rwm")):
        (first / f"devices.{file}").write_text(rule)
    first.rmdir()
for controller, file, value in (("memory", "memory.limit_in_bytes", "67108864"), ("cpu", "cpu.shares", "512")):
    if (groups / controller).is_dir():
        own = groups / controller / "docker-like"
        own.mkdir()
        (own / file).write_text(value)
        print(controller, (own / file).read_text().strip() == value)
        own.rmdir()
"""
"""What Docker's runc asks of the kernel for each container: version 1 control groups only where the host has those."""


def ip_of(server: BoundServer) -> str:
    assert server.public_net is not None
    assert server.public_net.ipv4 is not None
    return str(server.public_net.ipv4.ip)


def connects(ip: str, port: int, family: str = "-4") -> bool:
    """True if the host gets a TCP connection."""
    command = ["bash", "-c", f"exec 3<>/dev/tcp/{ip}/{port}"]
    try:
        return subprocess.run(command, capture_output=True, timeout=2, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def refuses(ip: str, port: int) -> bool:
    """True if a kernel is there that refuses the host's TCP connection."""
    try:
        socket.create_connection((ip, port), 2).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def test_a_machine_boots_like_on_hetzner(local_cloud: LocalCloud, project: Client) -> None:
    server = local_cloud.boot(project, "web-1")
    run = local_cloud.inside
    assert run(id_of(server), "cat /root/proof") == "done by user-data\n"
    assert "DataSourceHetzner" in run(id_of(server), "cat /run/cloud-init/result.json")
    assert local_cloud.ssh(ip_of(server), "hostname") == "web-1\n"
    assert run(id_of(server), "systemctl is-system-running --wait", check=False) == "running\n"
    # its size is its type's: 2 CPUs, 4 GB, 40 GB
    assert 3900 < int(run(id_of(server), "free -m | awk '/^Mem/ {print $2}'")) <= 4096
    assert 35 < int(run(id_of(server), "df --output=size -BG / | tail -1").strip().rstrip("G")) <= 40
    assert run(
        id_of(server), "apt-get update -q && apt-get install -qy jq >/dev/null && jq -n 1+1", timeout=180
    ).endswith("2\n")
    assert run(id_of(server), "curl -s http://169.254.169.254/hetzner/v1/metadata/instance-id") == str(id_of(server))
    assert run(id_of(server), "ls /dev/vda /dev/loop0 2>/dev/null", check=False) == ""
    # a container engine finds what it needs; by SSH, for only what the machine itself starts is under its limits
    found = local_cloud.ssh(ip_of(server), f"python3 -c {shlex.quote(CONTAINER_ENGINE)}").splitlines()
    assert "keyring True" in found
    assert "foreign device opened" not in found
    if Path("/sys/fs/cgroup/devices/cgroup.procs").exists():
        assert found == ["keyring True", "foreign device refused", "memory True", "cpu True"]
    # what it says is in the web console
    address, _, key = local_cloud.cli("web").stdout.strip().partition("#")
    for what, words in (
        ("console", "Welcome to Debian"),
        ("console", "web-1 login:"),
        ("journal", "Finished cloud-final"),
    ):
        url = f"{address}data/servers/{id_of(server)}/{what}"
        answer = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)
        assert words in answer.json()["text"]


def test_a_machine_reaches_only_what_a_server_may(local_cloud: LocalCloud, project: Client) -> None:
    server = local_cloud.boot(project, "out")
    gateway = subprocess.run(["ip", "-4", "route", "show", "default"], capture_output=True, text=True, check=True)
    for target in ("100.64.0.1/8580", "100.64.0.1/80", f"{gateway.stdout.split()[2]}/22", "172.31.1.1/9000"):
        command = f"timeout 5 bash -c 'exec 3<>/dev/tcp/{target}' 2>&1; echo $?"
        assert not local_cloud.inside(id_of(server), command).endswith("\n0\n"), target
        assert "No route to host" in local_cloud.inside(id_of(server), command), (
            f"{target}: refused at once, not dropped"
        )


def test_reboot_and_poweroff_from_inside(local_cloud: LocalCloud, project: Client) -> None:
    server = local_cloud.boot(project, "power")
    local_cloud.inside(id_of(server), "echo kept > /root/kept")
    local_cloud.inside(id_of(server), "systemctl reboot", check=False)
    wait_for(lambda: local_cloud.boots(id_of(server)) == 2, 60, "the machine is back after its reboot")
    assert project.servers.get_by_id(id_of(server)).status == "running"
    wait_for(lambda: connects(ip_of(server), 22), 60, "sshd is back")
    assert refuses(ip_of(server), 443)
    local_cloud.inside(id_of(server), "systemctl poweroff", check=False)
    wait_for(lambda: project.servers.get_by_id(id_of(server)).status == "off", 60, "status off")
    assert not refuses(ip_of(server), 443), "nothing answers in place of a machine that is off"
    project.servers.get_by_id(id_of(server)).power_on().wait_until_finished(60)
    wait_for(lambda: connects(ip_of(server), 22), 60, "sshd is back after power on")
    assert local_cloud.ssh(ip_of(server), "cat /root/kept") == "kept\n"


def test_firewalls_filter_the_public_interface_and_change_in_place(local_cloud: LocalCloud, project: Client) -> None:
    first = local_cloud.boot(project, "fw-1", wait=False)
    second = local_cloud.boot(project, "fw-2")
    local_cloud.wait_cloud_init(id_of(first))
    wait_for(lambda: connects(ip_of(first), 22), 30, "no firewall: open")
    local_cloud.inside(id_of(first), "setsid python3 -m http.server 8080 >/dev/null 2>&1 </dev/null &")
    wait_for(lambda: connects(ip_of(first), 8080), 30, "web server")

    assert second.public_net is not None
    assert second.public_net.ipv6 is not None
    ipv6 = str(second.public_net.ipv6.ip).replace("/64", "1")
    wait_for(lambda: local_cloud.ping(id_of(first), ipv6), 60, "IPv6 between machines")
    assert ipv6 not in local_cloud.inside(id_of(first), "ip -6 neigh"), "no redirect to a neighbour out of reach"

    def second_connects(port: int) -> bool:
        command = f"timeout 2 bash -c 'exec 3<>/dev/tcp/{ip_of(first)}/{port}' 2>/dev/null && echo yes || echo no"
        return local_cloud.inside(id_of(second), command) == "yes\n"

    def rule(port: str, *sources: str) -> FirewallRule:
        return FirewallRule(direction="in", protocol="tcp", port=port, source_ips=list(sources))

    from hcloud.firewalls.domain import FirewallResource
    from hcloud.servers import Server

    made = project.firewalls.create("fw", [rule("22", "100.64.0.1/32")], resources=[FirewallResource("server", server=Server(id_of(first)))])  # fmt: skip # noqa: E501
    for action in made.actions or []:
        action.wait_until_finished(60)
    assert connects(ip_of(first), 22)
    assert not connects(ip_of(first), 8080)
    assert not second_connects(22)
    open_session = subprocess.Popen(
        ["ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", str(local_cloud.key),
         f"root@{ip_of(first)}", "echo started; read line; echo $line"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert open_session.stdin is not None
    assert open_session.stdout is not None
    assert open_session.stdout.readline() == "started\n"
    for action in made.firewall.set_rules([rule("8000-8100", f"{ip_of(second)}/32")]):
        action.wait_until_finished(60)
    assert second_connects(8080)
    assert not connects(ip_of(first), 8080)
    assert not connects(ip_of(first), 22)
    answer, _ = open_session.communicate("still here\n", timeout=10)
    assert answer == "still here\n", "an established connection outlives the change"


def test_a_volume_outlives_its_server(local_cloud: LocalCloud, project: Client) -> None:
    made = project.volumes.create(10, "data", location=Location(name="fsn1"), format="ext4")
    made.action.wait_until_finished(60)
    volume = project.volumes.get_by_id(id_of(made.volume))
    assert volume.linux_device is not None
    server = local_cloud.boot(project, "db-1", volumes=[volume])
    run = local_cloud.inside
    run(id_of(server), f"mkdir /data && mount {volume.linux_device} /data && echo precious > /data/file")
    run(id_of(server), "reboot", check=False)

    def device_back() -> bool:
        found = local_cloud.boots(id_of(server)) == 2
        return found and run(id_of(server), f"ls {volume.linux_device} 2>/dev/null", check=False) != ""

    wait_for(device_back, 60, "the device is there after a reboot")
    run(id_of(server), f"mount {volume.linux_device} /data && echo more >> /data/file")
    server.delete().wait_until_finished(120)
    other = local_cloud.boot(project, "db-2")
    project.volumes.get_by_id(id_of(volume)).attach(other).wait_until_finished(60)
    run(id_of(other), f"mkdir /data && mount {volume.linux_device} /data")
    assert run(id_of(other), "cat /data/file") == "precious\nmore\n"
    project.volumes.get_by_id(id_of(volume)).resize(20).wait_until_finished(60)
    device = volume.linux_device  # unmounted first: this host may lack the capability that online resizing needs
    size = run(id_of(other), f"umount /data && e2fsck -fp {device} >&2 && resize2fs {device} >&2 && mount {device} /data && df --output=size -BG /data | tail -1")  # fmt: skip # noqa: E501
    assert int(size.strip().rstrip("G")) >= 19
    local_cloud.cli("fault", "add", "volume_loss", "--resource", f"volume:{id_of(volume)}")
    write = "dd if=/dev/zero of=/data/lost bs=64k count=1 conv=fsync"
    assert run(id_of(other), f"{write} 2>/dev/null || echo failed") == "failed\n"
    local_cloud.cli("fault", "clear")
    run(id_of(other), f"umount /data; e2fsck -fp {device} >&2; mount {device} /data")
    run(id_of(other), "echo last >> /data/file")
    project.volumes.get_by_id(id_of(volume)).detach().wait_until_finished(60)
    assert run(id_of(other), f"ls {volume.linux_device} 2>/dev/null; mountpoint -q /data || echo unmounted", check=False) == "unmounted\n"  # fmt: skip # noqa: E501
    project.volumes.get_by_id(id_of(volume)).attach(other).wait_until_finished(60)
    assert run(id_of(other), f"mount {volume.linux_device} /data && tail -1 /data/file") == "last\n"
    other.delete().wait_until_finished(120)


def test_a_private_network_from_the_start_does_not_hide_the_public_one(
    local_cloud: LocalCloud, project: Client
) -> None:
    """cloud-init asks for a lease on the interface that has a carrier first; it must be the public one."""
    subnet = NetworkSubnet(ip_range="10.8.1.0/24", type="cloud", network_zone="eu-central")
    network = project.networks.create("early", "10.8.0.0/16", subnets=[subnet])
    server = local_cloud.boot(project, "early", networks=[network])
    assert "10.8.1" in local_cloud.inside(id_of(server), "ip -4 addr show enp7s0")
    assert "done by user-data" in local_cloud.inside(id_of(server), "cat /root/proof")
    server.delete().wait_until_finished(60)
    network.delete()


def test_private_networks_are_routed_through_their_gateway(local_cloud: LocalCloud, project: Client) -> None:
    subnet = NetworkSubnet(ip_range="10.7.1.0/24", type="cloud", network_zone="eu-central")
    network = project.networks.create("net", "10.7.0.0/16", subnets=[subnet])
    first = local_cloud.boot(project, "n-1", wait=False)
    second = local_cloud.boot(project, "n-2")
    for server, ip in ((first, "10.7.1.2"), (second, "10.7.1.3")):
        server.attach_to_network(Network(id=id_of(network)), ip=ip).wait_until_finished(60)
    run = local_cloud.inside
    assert "10.7.1.2/32" in run(id_of(first), "ip -4 addr show enp7s0")
    assert "10.7.0.0/16 via 10.7.0.1" in run(id_of(first), "ip route")
    assert "86:00:00:" in run(id_of(first), "cat /sys/class/net/enp7s0/address")
    assert " 0% packet loss" in run(id_of(first), "ping -c 2 -i 0.2 -W 2 10.7.1.3")
    # a route of the network: what goes there, goes to the machine that is its gateway
    run(id_of(second), "ip addr add 10.50.0.1/32 dev lo")
    run(id_of(first), "ip route add 10.50.0.0/16 via 10.7.0.1 dev enp7s0")
    assert not local_cloud.ping(id_of(first), "10.50.0.1")
    network.add_route(NetworkRoute(destination="10.50.0.0/16", gateway="10.7.1.3")).wait_until_finished(60)
    assert local_cloud.ping(id_of(first), "10.50.0.1")
    local_cloud.cli("fault", "add", "partition", "--resource", "server:n-1", "--peer", f"server:{id_of(second)}")
    assert not local_cloud.ping(id_of(first), "10.7.1.3")
    assert not local_cloud.ping(id_of(first), ip_of(second))
    assert local_cloud.cli("fault", "clear").stdout == "1 cleared\n"
    assert local_cloud.ping(id_of(first), "10.7.1.3")
    second.detach_from_network(Network(id=id_of(network))).wait_until_finished(60)
    second.attach_to_network(Network(id=id_of(network)), ip="10.7.1.3").wait_until_finished(60)
    assert local_cloud.ping(id_of(first), "10.50.0.1"), "it is followed again when the gateway machine is back"
    second.detach_from_network(Network(id=id_of(network))).wait_until_finished(60)
    assert "enp7s0" not in run(id_of(second), "ls /sys/class/net")
    network.delete()
    wait_for(lambda: "enp7s0" not in run(id_of(first), "ls /sys/class/net"), 10, "detached with the network")
