"""The router namespace: bridge of the public network, uplink to the host, NAT, and the DHCP and DNS server.

Picture: host <-veth slcup-> namespace slc (172.31.1.1, bridge slcpub) <-veth-> one namespace per server. The ports of
the bridge are isolated, so all traffic goes through the router, where the firewalls are.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
from pathlib import Path

from localcloud.addresses import PUBLIC_IPV6
from localcloud.backend import BackendError
from localcloud.machines import addresses as a
from localcloud.machines import firewall, netns, process
from localcloud.machines.paths import Paths
from localcloud.machines.sh import read_json, run, succeeds, write

MTU_PRIVATE = 1450  # as on Hetzner
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def default_route() -> tuple[str, int]:
    """(interface, its MTU) of the host's IPv4 default route; BackendError when there is none."""
    routes = netns.query("-4", "route", "show", "default")
    if not routes:
        raise BackendError("the host has no IPv4 default route; machines would have no way out")
    device = str(routes[0]["dev"])
    return device, int(netns.query("link", "show", "dev", device)[0]["mtu"])


def public_mtu() -> int:
    """MTU of the machines' public interface: Hetzner's 1500, or what the host's way out can carry if less."""
    return min(1500, default_route()[1])


def up(paths: Paths) -> None:
    """Make what is missing of the router namespace; what is there and works is left alone."""
    device, _ = default_route()
    mtu = str(public_mtu())
    saved = paths.run / "host-sysctl.json"
    if not saved.exists():
        write(saved, json.dumps({"ip_forward": FORWARD.read_text().strip()}))
    netns.add(a.ROUTER_NS)
    if not netns.link_exists(None, a.UPLINK):
        netns.ip(None, "link", "add", a.UPLINK, "type", "veth", "peer", "name", a.UPLINK_PEER, "netns", a.ROUTER_NS)
    netns.batch(None, [
        f"addr replace {a.UPLINK_HOST}/30 dev {a.UPLINK}",
        f"link set {a.UPLINK} up mtu {mtu}",
        f"route replace {a.PUBLIC_NET} via {a.UPLINK_ROUTER} dev {a.UPLINK}",
    ])  # fmt: skip
    if not netns.link_exists(a.ROUTER_NS, a.BRIDGE):
        netns.ip(a.ROUTER_NS, "link", "add", a.BRIDGE, "type", "bridge")
    settings = {"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/send_redirects": "0"}
    settings[f"net/ipv4/conf/{a.BRIDGE}/send_redirects"] = "0"
    lines = [
        f"addr replace {a.UPLINK_ROUTER}/30 dev {a.UPLINK_PEER}",
        f"link set {a.UPLINK_PEER} up mtu {mtu}",
        f"route replace default via {a.UPLINK_HOST}",
        f"addr replace {a.OBJECTS_IP}/32 dev lo",
        f"link set {a.BRIDGE} address {a.GATEWAY_MAC} up mtu {mtu}",
        f"addr replace {a.GATEWAY}/32 dev {a.BRIDGE}",
        f"addr replace {a.METADATA}/32 dev {a.BRIDGE}",
        f"route replace {a.PUBLIC_NET} dev {a.BRIDGE} src {a.GATEWAY}",
    ]
    if ipv6_there():
        settings["net/ipv6/conf/all/forwarding"] = "1"
        lines += [
            f"addr replace {a.UPLINK6_ROUTER}/64 dev {a.UPLINK_PEER} nodad",
            f"addr replace {a.GATEWAY6}/64 dev {a.BRIDGE} nodad",
            f"route replace ::/0 via {a.UPLINK6_HOST} dev {a.UPLINK_PEER}",
            f"route replace unreachable {PUBLIC_IPV6} metric 4096",
        ]
    netns.sysctl(a.ROUTER_NS, settings)
    netns.batch(a.ROUTER_NS, lines)
    if ipv6_there():
        netns.batch(None, [
            f"addr replace {a.UPLINK6_HOST}/64 dev {a.UPLINK} nodad",
            f"route replace {PUBLIC_IPV6} via {a.UPLINK6_ROUTER} dev {a.UPLINK}",
        ])  # fmt: skip
    firewall.load_base()
    before = read_json(saved)
    was_router = not isinstance(before, dict) or before["ip_forward"] != "0"
    run("nft", "-f", "-", stdin=host_ruleset(device, was_router=was_router))
    FORWARD.write_text("1")


def host_ruleset(device: str, *, was_router: bool) -> str:
    """The host's own table: machines leave through `device` under the host's address.

    Nobody beyond the host reaches them. A host that forwarded nothing before (`was_router` false) still forwards
    nothing that comes in from outside, though forwarding had to be switched on for the machines.
    """
    others = "" if was_router else f'iifname "{device}" drop'
    return f"""
add table ip {a.NAT_TABLE}
delete table ip {a.NAT_TABLE}
table ip {a.NAT_TABLE} {{
  chain postrouting {{
    type nat hook postrouting priority 100;
    ip saddr {{ {a.UPLINK_NET}, {a.PUBLIC_NET} }} oifname "{device}" masquerade
  }}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    ct state established,related accept
    oifname "{a.UPLINK}" drop
    {others}
  }}
}}
"""


def down(paths: Paths) -> None:
    """Remove all of it and give the host its forwarding setting back."""
    run("nft", "delete", "table", "ip", a.NAT_TABLE, check=False)
    run("ip", "link", "del", a.UPLINK, check=False)
    netns.delete(a.ROUTER_NS)
    saved = read_json(paths.run / "host-sysctl.json")
    if isinstance(saved, dict):
        with contextlib.suppress(OSError):
            FORWARD.write_text(str(saved["ip_forward"]))
        (paths.run / "host-sysctl.json").unlink(missing_ok=True)


def ipv6_there() -> bool:
    """Some hosts have IPv6 switched off."""
    return Path("/proc/sys/net/ipv6/conf").is_dir()


def nat_table_there() -> bool:
    return bool(shutil.which("nft")) and succeeds("nft", "list", "table", "ip", a.NAT_TABLE)


def nameservers(*files: Path) -> list[str]:
    """The host's resolvers that the router namespace can reach too: those that aren't on a loopback address.

    Reads resolv.conf, then systemd-resolved's list of the real ones.
    """
    for file in files or (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        try:
            text = file.read_text()
        except OSError:
            continue
        found = re.findall(r"^nameserver\s+([0-9.]+)\s*$", text, re.MULTILINE)
        usable = [n for n in found if not n.startswith("127.")]
        if usable:
            return usable
    return []


def dnsmasq_config(paths: Paths, servers: list[str], mtu: int) -> str:
    """dnsmasq serves static DHCP leases (files in dhcp-hosts) and DNS (names in dns-hosts, else upstream `servers`)."""
    run_dir = paths.run
    return "\n".join([
        f"interface={a.BRIDGE}", "bind-interfaces", "no-resolv", "no-hosts", "no-ping", "cache-size=1000",
        f"listen-address={a.GATEWAY}", "no-dhcp-interface=lo",
        *(f"server={server}" for server in servers),
        f"shared-network={a.BRIDGE},{a.PUBLIC_NET.partition('/')[0]}",
        f"dhcp-range={a.PUBLIC_NET.partition('/')[0]},static,255.255.255.0,12h",
        "dhcp-option-force=1,255.255.255.255", f"dhcp-option=3,{a.GATEWAY}",
        f"dhcp-option=121,{a.GATEWAY}/32,0.0.0.0,0.0.0.0/0,{a.GATEWAY}", f"dhcp-option=6,{a.GATEWAY}",
        f"dhcp-option-force=26,{mtu}",
        f"dhcp-hostsdir={run_dir / 'dhcp-hosts'}", f"hostsdir={run_dir / 'dns-hosts'}",
        f"dhcp-leasefile={run_dir / 'dnsmasq.leases'}", "dhcp-authoritative", "dhcp-ignore-clid", "log-dhcp",
        f"log-facility={run_dir / 'dnsmasq.log'}", "user=root", "pid-file=", "",
    ])  # fmt: skip


def dnsmasq_up(paths: Paths) -> None:
    """Start dnsmasq in the router namespace unless it runs."""
    if process.load(paths.run / "dnsmasq.pid"):
        return
    servers = nameservers()
    if not servers:
        raise BackendError("/etc/resolv.conf names no server that isn't a loopback address (see preflight)")
    for name in ("dhcp-hosts", "dns-hosts"):
        (paths.run / name).mkdir(exist_ok=True)
    config = paths.run / "dnsmasq.conf"
    write(config, dnsmasq_config(paths, servers, public_mtu()))
    (paths.run / "dnsmasq.log").unlink(missing_ok=True)
    command = [*netns.inside(a.ROUTER_NS), "dnsmasq", f"--conf-file={config}", "--keep-in-foreground"]
    process.spawn(command, paths.run / "dnsmasq.pid", paths.run / "dnsmasq.out")


def dhcp_add(paths: Paths, server_id: int, mac: str, ipv4: str) -> None:
    """Give the server its address by DHCP; dnsmasq notices the new file by itself."""
    folder = paths.run / "dhcp-hosts"
    folder.mkdir(parents=True, exist_ok=True)
    file, line = folder / str(server_id), f"{mac},{ipv4},infinite\n"
    if not file.exists() or file.read_text() != line:
        file.write_text(line)  # in place: dnsmasq would read a temporary file too


def dhcp_remove(paths: Paths, server_id: int) -> None:
    """Forget the server's lease, so that another server can have the address."""
    file = paths.run / "dhcp-hosts" / str(server_id)
    if not file.exists():
        return
    mac, ipv4, _ = file.read_text().split(",")
    file.unlink()
    running = process.load(paths.run / "dnsmasq.pid")
    if running:
        run(*netns.inside(a.ROUTER_NS), "dhcp_release", a.BRIDGE, ipv4, mac, check=False)
        running.kill(signal.SIGHUP)  # reads the folder again, for it doesn't notice that a file went
