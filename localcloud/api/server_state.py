"""What a server is now: its status, its locks, and the specification the backend gets."""

from __future__ import annotations

from localcloud import addresses, catalog, fault_store
from localcloud.api.errors import locked, refused
from localcloud.backend import BackendError, Nic, ServerSpec
from localcloud.store import Data
from localcloud.worker import Scope

# A second one of these is refused while one is queued or running, as the real API does.
EXCLUSIVE = {
    "create_server", "start_server", "stop_server", "reboot_server", "reset_server", "shutdown_server",
    "rebuild_server", "change_server_type", "delete_server", "create_image",
}  # fmt: skip
LOCKING = {
    "create_server",
    "rebuild_server",
    "change_server_type",
    "delete_server",
    "create_image",
}  # shown as "locked": true


def status(scope: Scope, server: Data) -> str:
    """The status the API shows: what an action is doing with the server, else what the machine says."""
    if server["state"] is not None:
        return str(server["state"])
    if server["id"] in fault_store.lost_servers(scope.cloud.store):
        return "unknown"
    try:
        return "running" if scope.cloud.backend.is_running(server["id"]) else "off"
    except BackendError:
        return "unknown"


def require_off(scope: Scope, server: Data) -> None:
    """Raises server_not_stopped unless the server is off."""
    if status(scope, server) != "off":
        raise refused("server_not_stopped", "server must be stopped for this")


def require_unlocked(scope: Scope, server: Data) -> None:
    """423 while a power, rebuild, create or delete action is under way."""
    if scope.unfinished("server", server["id"]) & EXCLUSIVE:
        raise locked("server")


def require_alive(server: Data) -> None:
    """423 if the server is being deleted."""
    if server["state"] == "deleting":
        raise locked("server")


def is_locked(scope: Scope, server: Data) -> bool:
    """The field `locked`."""
    return bool(scope.unfinished("server", server["id"]) & LOCKING)


def set_state(scope: Scope, server_id: int, state: str | None) -> None:
    """Write the state that an action gives the server; None hands it back to the machine."""
    server = scope.get("server", server_id)
    if server and server["state"] != "deleting":
        scope.save("server", {**server, "state": state})


def ip_of(scope: Scope, server: Data, version: str) -> Data | None:
    """The server's primary IP of that version; to read."""
    rows = (row for row in scope.look("primary_ip") if row["assignee_id"] == server["id"] and row["type"] == version)
    return next(rows, None)


def server_type(name: str) -> Data:
    """The server type of that name."""
    return next(row for row in catalog.server_types() if row["name"] == name)


def nic_of(scope: Scope, nic: Data) -> Nic | None:
    """The backend's view of an entry of private_net; None if its network is gone."""
    network = scope.get("network", nic["network"])
    if network is None:
        return None
    ip_range = network["ip_range"]
    return Nic(network["id"], nic["ip"], nic["mac_address"], ip_range, addresses.gateway(ip_range))


def spec_of(scope: Scope, server: Data) -> ServerSpec:
    """Everything the backend needs to know to make the server as it should be now."""
    size = server_type(server["server_type"])
    ipv4, ipv6 = ip_of(scope, server, "ipv4"), ip_of(scope, server, "ipv6")
    nics = [nic_of(scope, nic) for nic in server["private_net"]]
    return ServerSpec(
        id=server["id"],
        name=server["name"],
        cores=size["cores"],
        memory_gb=size["memory"],
        disk_gb=server["primary_disk_size"],
        image=server["image"]["name"] or str(server["image"]["id"]),
        ipv4=ipv4["ip"] if ipv4 else None,
        ipv6_net=ipv6["ip"] if ipv6 else None,
        mac=server["mac"],
        user_data=server["user_data"],
        ssh_public_keys=tuple(server["ssh_public_keys"]),
        location=server["location"],
        root_password=server["root_password"],
        nics=tuple(nic for nic in nics if nic),
        volumes=tuple(row["id"] for row in scope.look("volume") if row["server"] == server["id"]),
    )
