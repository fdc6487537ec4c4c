"""What a stack has at Hetzner, as its API lists it, in the words of the program; and starting what is off.

No Pulumi and no SDK in here: ops/ asks before the engine runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx

from infra import naming
from infra.clouds import CloudError
from infra.clouds.hetzner_api import Reader
from infra.reconcile import Found
from infra.settings import Settings

PLUGIN = "pulumi-hcloud"
COMPONENT = "sekha:cloud:Hetzner"
SERVER, VOLUME = "hcloud:index/server:Server", "hcloud:index/volume:Volume"
SUBNET, MEMBER = "hcloud:index/networkSubnet:NetworkSubnet", "hcloud:index/serverNetwork:ServerNetwork"
TYPES = {
    "ssh_keys": "hcloud:index/sshKey:SshKey",
    "networks": "hcloud:index/network:Network",
    "firewalls": "hcloud:index/firewall:Firewall",
    "primary_ips": "hcloud:index/primaryIp:PrimaryIp",
    "placement_groups": "hcloud:index/placementGroup:PlacementGroup",
    "servers": SERVER,
    "volumes": VOLUME,
}
DATA = frozenset({VOLUME})
"""Types whose objects hold what can't be made again: they are adopted, never deleted to make room."""

PASSING = frozenset({"initializing", "starting", "stopping", "deleting", "migrating", "rebuilding", "creating"})
SETTLED_WITHIN = 180.0  # seconds an object may take to leave a passing status; a killed engine leaves such


def inventory(settings: Settings, transport: httpx.BaseTransport | None = None) -> list[Found]:
    """Everything of the stack, once nothing of it is in a passing status any more. Raises CloudError."""
    reader = Reader(settings, transport)
    selector = naming.selector(settings.stack)
    end = time.monotonic() + SETTLED_WITHIN
    while True:
        rows = {kind: reader.rows(kind, label_selector=selector) for kind in TYPES}
        passing = [row for kind in ("servers", "volumes") for row in rows[kind] if row["status"] in PASSING]
        if not passing:
            return found(rows)
        if time.monotonic() > end:
            names = ", ".join(f"{row['name']} ({row['status']})" for row in passing)
            raise CloudError(f"still not settled after {SETTLED_WITHIN:g} s: {names}; look at it in Hetzner's console")
        time.sleep(0.5)


def listed(settings: Settings, transport: httpx.BaseTransport | None = None) -> list[Found]:
    """Everything of the stack as it is listed right now, settled or not. Raises CloudError."""
    reader = Reader(settings, transport)
    return found({kind: reader.rows(kind, label_selector=naming.selector(settings.stack)) for kind in TYPES})


def found(rows: Mapping[str, list[dict[str, Any]]]) -> list[Found]:
    """The API's rows by kind, as the program names them; subnets and memberships are parts of other rows."""
    things = [
        Found(
            TYPES[kind], _name(row), str(row["id"]), row["name"],
            data=TYPES[kind] in DATA, off=kind == "servers" and row["status"] == "off",
            server=str(row["server"] or "") if kind == "volumes" else "",
        )
        for kind in TYPES for row in rows[kind]
    ]  # fmt: skip
    for network in rows["networks"]:
        for subnet in network["subnets"]:
            name = f"{network['id']}-{subnet['ip_range']}"
            things.append(Found(SUBNET, "subnet", name, f"{network['name']} {subnet['ip_range']}"))
    for server in rows["servers"]:
        for nic in server["private_net"]:
            things.append(Found(MEMBER, "private", f"{server['id']}-{nic['network']}", f"{server['name']} {nic['ip']}"))
    return things


def _name(row: Mapping[str, Any]) -> str:
    """The program's name of an object, from its label (naming.labels)."""
    label: str = (row.get("labels") or {}).get(naming.URN_LABEL, "")
    return label.partition(".")[2]


def start(settings: Settings, server: str, transport: httpx.BaseTransport | None = None) -> None:
    """Power on the server with this id. Raises CloudError."""
    _act(Reader(settings, transport), f"/servers/{server}/actions/poweron")


def reattach(settings: Settings, volume: str, server: str, transport: httpx.BaseTransport | None = None) -> None:
    """Attach the volume to the server again, which is off meanwhile: what runs on a pulled volume can't go on with it.

    Raises CloudError.
    """
    reader = Reader(settings, transport)
    _act(reader, f"/servers/{server}/actions/poweroff")
    _act(reader, f"/volumes/{volume}/actions/attach", {"server": int(server), "automount": False})
    _act(reader, f"/servers/{server}/actions/poweron")


def _act(reader: Reader, path: str, body: Mapping[str, Any] | None = None) -> None:
    """Ask for an action and wait for its end. Raises CloudError."""
    try:
        answer = reader.client.post(reader.endpoint + path, json=body or {})
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            raise CloudError(f"Hetzner's API answered POST {path} with {answer.status_code}: {answer.text[:200]}")
        action, end = answer.json()["action"], time.monotonic() + SETTLED_WITHIN
        while action["status"] == "running" and time.monotonic() < end:
            time.sleep(0.2)
            action = reader.client.get(f"{reader.endpoint}/actions/{action['id']}").raise_for_status().json()["action"]
    except httpx.HTTPError as error:
        raise CloudError(f"POST {path} at Hetzner's API: {error}") from error
    if action["status"] != "success":
        raise CloudError(f"POST {path} at Hetzner's API: {action['status']} {action.get('error') or ''}")
