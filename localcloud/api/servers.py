"""Servers: create, list, read, update, delete, metrics."""

from __future__ import annotations

import re
import secrets

from localcloud import addresses, catalog
from localcloud.api import lb_state, placement_groups, primary_ips, server_networks, volumes
from localcloud.api.call import Call
from localcloud.api.catalogue import lookup
from localcloud.api.errors import invalid, limit, refused
from localcloud.api.firewall_sync import firewalls_of, sync_later
from localcloud.api.firewalls import MAX_PER_SERVER
from localcloud.api.images import image_for
from localcloud.api.listing import page
from localcloud.api.metrics import metrics_of
from localcloud.api.routes import Answer, Route
from localcloud.api.server_state import require_unlocked, status
from localcloud.api.server_view import view
from localcloud.store import Data
from localcloud.worker import Resource

KIND = "server"
NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
MAX_USER_DATA = 32768


def _place(call: Call, size: Data) -> str:
    """The location asked for, or the first the type can be ordered in."""
    offered = [row["name"] for row in size["locations"]]
    sold_out = call.cloud.store.unavailable()
    ready = [name for name in offered if (size["name"], name) not in sold_out]
    place = primary_ips.place_of(call) or (ready or offered)[0]
    if place not in ready:
        raise refused("resource_unavailable", f"server type {size['name']!r} is not available in {place}", 412)
    return place


def _public_net(call: Call, place: str) -> dict[str, Data | None]:
    """Version -> given primary IP, or None for one to be made; versions that are off are left out."""
    wish = call.body.get("public_net") or {}
    if not isinstance(wish, dict):
        raise invalid("public_net", "must be an object")
    result: dict[str, Data | None] = {}
    for version in ("ipv4", "ipv6"):
        enabled = wish.get(f"enable_{version}")
        if enabled is False:
            continue
        result[version] = None
        if wish.get(version) is not None:
            ip = call.reference("primary_ip", f"public_net.{version}", wish[version])
            if ip["type"] != version:
                raise refused("primary_ip_version_mismatch", f"primary IP {ip['name']!r} is no {version}")
            if ip["assignee_id"] is not None:
                raise refused("primary_ip_assigned", f"primary IP {ip['name']!r} is already assigned")
            if ip["location"] != place:
                raise refused("primary_ip_datacenter_mismatch", f"primary IP {ip['name']!r} is not in {place}")
            result[version] = ip
    return result


def _ids(call: Call, key: str) -> list[int]:
    values = [v.get("firewall") if isinstance(v, dict) else v for v in call.items(key)]
    if not all(str(value).isdecimal() for value in values):
        raise invalid(key, "must be a list of ids")
    return list(dict.fromkeys(int(str(value)) for value in values))


def create(call: Call) -> Answer:
    """Everything is checked before anything is changed."""
    size = lookup(catalog.server_types(), "server type", "server_type", call.body.get("server_type"))
    user_data, labels = call.text("user_data", required=False, max_length=MAX_USER_DATA) or "", call.labels()
    if len(user_data.encode()) > MAX_USER_DATA:
        raise invalid("user_data", f"is longer than {MAX_USER_DATA} bytes")
    start, automount = call.flag("start_after_create", True), call.flag("automount")
    image = image_for(call, size["architecture"], size["disk"])
    place = _place(call, size)
    keys = [call.reference("ssh_key", "ssh_keys", value) for value in call.items("ssh_keys")]
    public = _public_net(call, place)
    networks = [call.find("network", network_id) for network_id in _ids(call, "networks")]
    if not public and not networks and start:
        raise invalid("public_net", "a server needs a public or a private network to start")
    group = call.find("placement_group", call.object_id("placement_group")) if "placement_group" in call.body else None
    if group:
        placement_groups.check_room(call, group)
    firewalls = [call.find("firewall", firewall_id) for firewall_id in _ids(call, "firewalls")]
    if firewalls and not public:
        raise refused("private_net_only_server", "firewalls need a public network")
    if len(firewalls) > MAX_PER_SERVER:
        raise limit("firewalls_per_server")
    attached = [call.find("volume", volume_id) for volume_id in _ids(call, "volumes")]
    quota = call.cloud.settings.server_quota
    if quota is not None and len(call.all(KIND)) >= quota:
        raise limit("server")
    name = call.name(KIND, NAME)

    password = None if keys else secrets.token_urlsafe(15)
    new_id = call.cloud.store.next_id()
    server: Data = {
        "id": new_id,
        "name": name,
        "labels": labels,
        "state": "initializing",
        "server_type": size["name"],
        "image": image,
        "location": place,
        "placement_group": group["id"] if group else None,
        "private_net": [],
        "protection": {"delete": False, "rebuild": False},
        "backup_window": None,
        "rescue": None,
        "iso": None,
        "user_data": user_data,
        "ssh_public_keys": [key["public_key"] for key in keys],
        "root_password": password,
        "primary_disk_size": size["disk"],
        "mac": addresses.mac("96:00", new_id),
    }
    for volume in attached:
        volumes.check_attachable(call, volume, server)
    for network in networks:
        server["private_net"].append(server_networks.allocate(call, network, {}))
    server = call.add(KIND, server)
    for version, ip in public.items():
        if ip is None:
            primary_ips.allocate(call, version, None, place, assignee_id=new_id, auto_delete=True)
        else:
            call.save("primary_ip", {**ip, "assignee_id": new_id})
    for firewall in firewalls:
        firewall["applied_to"].append({"type": "server", "server": {"id": new_id}})
        call.save("firewall", firewall)
    key: list[Resource] = [(KIND, new_id)]
    also: list[Resource] = [("network", network["id"]) for network in networks]
    action = call.act("create_server", key, "create_server", {"server": new_id, "start": start}, also=also)
    following = [call.act("start_server", key, "start_server", {"server": new_id, "first": True})] if start else []
    following += [volumes.attach_action(call, volume, server, automount) for volume in attached]
    shown = {"server": view(call, server), "action": action, "next_actions": following}
    return 201, {**shown, "root_password": password}


def index(call: Call) -> Answer:
    """Shown is what is on the page alone: that takes looks at many other things."""
    wanted = call.query.get("status")
    rows = [server for server in call.all(KIND) if not wanted or status(call, server) in wanted]
    found = page(call, "servers", rows)
    return 200, {**found, "servers": [view(call, server) for server in found["servers"]]}


def read(call: Call) -> Answer:
    return 200, {KIND: view(call, call.target(KIND))}


def update(call: Call) -> Answer:
    """A change of labels may bring firewalls in or out by their selectors."""
    server = call.target(KIND)
    before = firewalls_of(call, server)
    call.update_name_and_labels(KIND, server, NAME)
    call.save(KIND, server)
    if "labels" in call.body:
        lb_state.sync_later(call)
    if firewalls_of(call, server) != before:
        sync_later(call, server)
    return 200, {KIND: view(call, server)}


def delete(call: Call) -> Answer:
    server = call.target(KIND)
    call.check_unprotected(KIND, server)
    require_unlocked(call, server)
    call.save(KIND, {**server, "state": "deleting"})
    keys: list[Resource] = [("volume", row["id"]) for row in call.all("volume") if row["server"] == server["id"]]
    keys += [("network", nic["network"]) for nic in server["private_net"]]
    resource: list[Resource] = [(KIND, server["id"])]
    return 200, {"action": call.act("delete_server", resource, "delete_server", {"server": server["id"]}, also=keys)}


SERIES: dict[str, list[str]] = {
    "cpu": ["cpu"],
    "disk": ["disk.0.iops.read", "disk.0.iops.write", "disk.0.bandwidth.read", "disk.0.bandwidth.write"],
    "network": ["network.0.pps.in", "network.0.pps.out", "network.0.bandwidth.in", "network.0.bandwidth.out"],
}


def metrics(call: Call) -> Answer:
    return 200, metrics_of(call, (KIND, call.target(KIND)["id"]), SERIES)


ROUTES: list[Route] = [
    ("POST", "/servers", create),
    ("GET", "/servers", index),
    ("GET", "/servers/{id}", read),
    ("PUT", "/servers/{id}", update),
    ("DELETE", "/servers/{id}", delete),
    ("GET", "/servers/{id}/metrics", metrics),
]
