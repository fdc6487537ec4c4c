"""A small shop in the local cloud, to look at: machines in several states, and everything around them."""

from __future__ import annotations

from typing import Any

from localcloud import fault_store
from localcloud.fake_backend import FakeBackend
from localcloud.faults import Fault
from tests.support import wait_for
from tests.unit.localcloud.conftest import Rig

BOOT = """[    0.000000] Linux version 6.12 (debian-13)
[  \x1b[0;32mOK\x1b[0m  ] Reached target \x1b[0;1;39mnetwork-online.target\x1b[0m - Network is Online.
[  \x1b[0;32mOK\x1b[0m  ] Started \x1b[0;1;39mssh.service\x1b[0m - OpenBSD Secure Shell server.
cloud-init[212]: Cloud-init v. 25.1.4 running 'modules:final'. Up 6.41 seconds.
cloud-init[212]: Cloud-init v. 25.1.4 finished. Datasource DataSourceHetzner. Up 7.02 seconds

Debian GNU/Linux 13 web-1 console
web-1 login: """
JOURNAL = [
    "2026-11-23T15:04:01+00:00 web-1 systemd[1]: Started caddy.service - Caddy.",
    "2026-11-23T15:04:02+00:00 web-1 caddy[341]: serving initial configuration",
    "2026-11-23T15:04:09+00:00 web-1 systemd[1]: Startup finished in 7.114s.",
]


def _rule(port: str, sources: list[str], text: str) -> dict[str, Any]:
    return {"direction": "in", "protocol": "tcp", "port": port, "source_ips": sources, "description": text}


def shop(rig: Rig, backend: FakeBackend) -> dict[str, int]:
    """Make it; the ids by name. One machine is off, one starts for as long as one looks, one action failed."""

    def make(path: str, **body: Any) -> dict[str, Any]:
        return rig.done(rig.ask("POST", path, body, 201))

    ids: dict[str, int] = {}
    subnet = {"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}
    ids["shop-net"] = make("/networks", name="shop-net", ip_range="10.0.0.0/16", subnets=[subnet], labels={"env": "shop"})["network"]["id"]  # fmt: skip # noqa: E501
    rules = [_rule("443", ["0.0.0.0/0", "::/0"], "the shop"), _rule("22", ["198.18.0.0/15"], "office")]
    ids["web"] = make("/firewalls", name="web", rules=rules)["firewall"]["id"]
    make("/firewalls", name="closed", rules=[], labels={"env": "shop"})
    roles = {"web-1": "web", "web-2": "web", "db-1": "db", "worker-1": "worker"}
    for name, role in roles.items():
        server = make(
            "/servers", name=name, server_type="cx33" if role == "db" else "cx23", image="debian-13", location="fsn1",
            networks=[ids["shop-net"]], labels={"role": role, "env": "shop"},
            firewalls=[{"firewall": ids["web"]}] if role == "web" else [],
        )["server"]  # fmt: skip
        ids[name] = server["id"]
        backend.consoles[server["id"]] = BOOT.replace("web-1", name)
        backend.journals[server["id"]] = [line.replace("web-1", name) for line in JOURNAL]
    ids["db-data"] = make("/volumes", name="db-data", size=50, server=ids["db-1"], format="ext4")["volume"]["id"]
    make("/volumes", name="spare", size=10, location="fsn1")
    service = {"protocol": "http", "listen_port": 80, "destination_port": 8080, "proxyprotocol": False}
    targets = [{"type": "label_selector", "label_selector": {"selector": "role=web"}}]
    balancer = make("/load_balancers", name="front", load_balancer_type="lb11", location="fsn1", services=[service], targets=targets)["load_balancer"]["id"]  # fmt: skip # noqa: E501
    for number, name in enumerate(("web-1", "web-2")):
        ip = rig.ask("GET", f"/servers/{ids[name]}")["server"]["public_net"]["ipv4"]["ip"]
        backend.health.setdefault(balancer, {})[(ip, 80)] = ("healthy", "unhealthy")[number]
    make("/floating_ips", type="ipv4", name="shop-ip", server=ids["web-1"])
    rig.done(rig.ask("POST", f"/servers/{ids['worker-1']}/actions/poweroff", status=201))
    backend.fail["create_image"] = "no space left for a snapshot"
    failed = rig.ask("POST", f"/servers/{ids['db-1']}/actions/create_image", {"type": "snapshot"}, 201)["action"]
    rig.end_of(f"/actions/{failed['id']}")
    slow = Fault(kind="slow_action", resource="server:cache-1", command="start_server", count=1, seconds=600)
    fault_store.add(rig.cloud.store, slow)  # the end of the cloud ends the wait
    body = {
        "name": "cache-1",
        "server_type": "cx23",
        "image": "debian-13",
        "location": "nbg1",
        "labels": {"env": "shop"},
    }
    starting = rig.ask("POST", "/servers", body, 201)["server"]["id"]
    wait_for(
        lambda: rig.ask("GET", f"/servers/{starting}")["server"]["status"] == "starting", 10, "cache-1 starts", 0.01
    )
    return ids
