"""Hetzner's metadata service: http://169.254.169.254/hetzner/v1/ inside the router namespace.

The caller is known by its source address. What is served comes from the servers' metadata.json and user-data files,
read anew at each request. Paths and formats: Hetzner's documentation; cloud-init's DataSourceHetzner reads them.
"""

from __future__ import annotations

import http.server
import ipaddress
import json
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from localcloud import catalog
from localcloud.mirror import bound_socket

PREFIX = "/hetzner/v1"


def document(data: dict[str, Any]) -> dict[str, Any]:
    """The /metadata map of a server; `data` is its metadata.json as RealBackend writes it."""
    subnets: list[dict[str, Any]] = []
    if data["ipv4"]:
        subnets.append({"type": "dhcp", "ipv4": True, "dns_nameservers": []})
    if data["ipv6_net"]:
        first = ipaddress.ip_network(data["ipv6_net"])[1]
        subnets.append({"type": "static", "address": f"{first}/64", "gateway": "fe80::1", "ipv6": True, "dns_nameservers": []})  # fmt: skip # noqa: E501
    interface = {"type": "physical", "name": "eth0", "mac_address": data["mac"], "subnets": subnets}
    return {
        "availability-zone": catalog.datacenter_of(data["location"])["name"],
        "hostname": data["name"],
        "instance-id": data["id"],
        "public-ipv4": data["ipv4"] or "",
        "local-ipv4": "",
        "region": data["region"],
        "public-keys": data["public_keys"],
        "network-config": {"version": 1, "config": [interface]},
        "vendor_data": "",
    }


def private_networks(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The /metadata/private-networks list of a server."""
    return [
        {
            "ip": nic["ip"],
            "alias_ips": [],
            "interface_num": number,
            "mac_address": nic["mac"],
            "network_id": nic["network_id"],
            "network_name": str(nic["network_id"]),
            "network": nic["ip_range"],
            "subnet": nic["ip_range"],
            "gateway": nic["gateway"],
        }
        for number, nic in enumerate(data["nics"], start=1)
    ]


def answer(path: str, folder: Path) -> bytes | None:
    """What a server (its folder) gets for a path; None = 404."""
    path = path.partition("?")[0].rstrip("/")
    if path == f"{PREFIX}/userdata":
        return (folder / "user-data").read_bytes()
    data = json.loads((folder / "metadata.json").read_text())
    if path == f"{PREFIX}/metadata":
        return _yaml(document(data))
    if path == f"{PREFIX}/metadata/private-networks":
        return _yaml(private_networks(data))
    name = path.removeprefix(f"{PREFIX}/metadata/")
    simple = ("hostname", "instance-id", "public-ipv4", "local-ipv4", "availability-zone", "region", "public-keys")
    if name in simple:
        value = document(data)[name]
        return json.dumps(value).encode() if isinstance(value, list) else str(value).encode()
    return None


def _yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, default_flow_style=False, sort_keys=False, width=10**9).encode()


def find_server(servers: Path, address: str) -> Path | None:
    """Folder of the server that has this address."""
    for file in servers.glob("*/metadata.json"):
        try:
            if json.loads(file.read_text())["ipv4"] == address:
                return file.parent
        except (OSError, ValueError, KeyError):
            continue  # being made or removed just now
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    """GET only; unknown callers and paths get 404."""

    servers: Path
    timeout = 20

    def do_GET(self) -> None:
        folder = find_server(self.servers, self.client_address[0])
        try:
            body = answer(self.path, folder) if folder else None
        except (OSError, ValueError, KeyError):
            body = None
        self.send_response(HTTPStatus.NOT_FOUND if body is None else HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        sys.stderr.write(f"{self.client_address[0]} {format % args}\n")


def main() -> None:
    """metadata SERVERS_FOLDER ADDRESS PORT NAMESPACE_PATH: serve until killed."""
    servers, address, port, namespace = sys.argv[1:]
    bound = bound_socket(address, int(port), Path(namespace))
    handler = type("BoundHandler", (Handler,), {"servers": Path(servers)})
    server = http.server.ThreadingHTTPServer(bound.getsockname(), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = bound
    server.server_activate()
    server.serve_forever()


if __name__ == "__main__":
    main()
