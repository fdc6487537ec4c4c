"""The work behind a server's actions: backend calls, and what they change in the state. All may be repeated."""

from __future__ import annotations

from localcloud.api import images, lb_state
from localcloud.api.firewall_sync import rules_of
from localcloud.api.server_extras import rescued
from localcloud.api.server_state import set_state, spec_of, status
from localcloud.backend import BackendError, ServerSpec
from localcloud.store import Data
from localcloud.worker import Operation, Scope


def _server(scope: Scope, args: Data) -> Data:
    server = scope.get("server", args["server"])
    if server is None:
        raise LookupError(f"server {args['server']} is gone")
    return server


def _clear(scope: Scope, args: Data) -> None:
    set_state(scope, args["server"], None)


def _create(scope: Scope, args: Data) -> None:
    server, backend = _server(scope, args), scope.cloud.backend
    backend.create_server(spec_of(scope, server))
    backend.set_firewall(server["id"], rules_of(scope, server))


def _not_created(scope: Scope, args: Data) -> None:
    """Nothing of the machine may be there: whoever starts the server later has it made then."""
    server = _server(scope, args)
    scope.save("server", {**server, "state": None, "unmade": True})


def _created(scope: Scope, args: Data) -> None:
    server = _server(scope, args)
    scope.save("server", {**server, "root_password": None, "state": "starting" if args["start"] else None})
    lb_state.sync_later(scope)


def _boot(scope: Scope, spec: ServerSpec) -> None:
    """Start the machine behind its firewall: a creation that failed halfway must not leave one that starts open."""
    server = _server(scope, {"server": spec.id})
    scope.cloud.backend.set_firewall(spec.id, rules_of(scope, server))
    scope.cloud.backend.start_server(spec)


def _start(scope: Scope, args: Data) -> None:
    server = _server(scope, args)
    if server.get("rescue") and status(scope, {**server, "state": None}) == "running":
        return  # it stays on for the next boot
    args["rescued"] = bool(server.get("rescue"))
    if server.get("unmade"):
        if args.get("first"):
            raise BackendError("the server was not created")
        scope.cloud.backend.create_server(spec_of(scope, server))
    _boot(scope, rescued(spec_of(scope, server), server))


def _started(scope: Scope, args: Data) -> None:
    """The rescue system is for one boot."""
    server = _server(scope, args)
    if args.get("rescued") or server.get("unmade"):
        scope.save("server", {**server, "rescue": None, "unmade": None, "root_password": None})
    _clear(scope, args)


def _stop(scope: Scope, args: Data) -> None:
    scope.cloud.backend.stop_server(args["server"], hard=True)


def _shutdown(scope: Scope, args: Data) -> None:
    scope.cloud.backend.stop_server(args["server"], hard=False)


def _restart(scope: Scope, args: Data) -> None:
    _stop(scope, args)
    _start(scope, args)


def _rebuild(scope: Scope, args: Data) -> None:
    backend, server = scope.cloud.backend, _server(scope, args)
    new = spec_of(scope, {**server, **args["change"]})
    backend.stop_server(server["id"], hard=True)
    backend.rebuild_server(new)
    _boot(scope, new)


def _change_type(scope: Scope, args: Data) -> None:
    new = spec_of(scope, {**_server(scope, args), **args["change"]})
    scope.cloud.backend.update_server(new)
    _boot(scope, new)


def _changed(scope: Scope, args: Data) -> None:
    change = {**args["change"]}
    if "root_password" in change:
        change["root_password"] = None  # it is on the machine now
    scope.save("server", {**_server(scope, args), **change, "state": None})


def _delete(scope: Scope, args: Data) -> None:
    backend, server_id = scope.cloud.backend, args["server"]
    backend.stop_server(server_id, hard=True)
    for volume in scope.all("volume"):
        if volume["server"] == server_id:
            backend.detach_volume(volume["id"])
    for row in scope.all("floating_ip"):
        if row["server"] == server_id:
            backend.route_floating_ip(row["ip"], None)
    backend.delete_server(server_id)


def _deleted(scope: Scope, args: Data) -> None:
    """Volumes and given addresses stay and become free; everything else of the server goes."""
    server = _server(scope, args)
    for volume in scope.all("volume"):
        if volume["server"] == server["id"]:
            scope.save("volume", {**volume, "server": None})
    for ip in scope.all("primary_ip"):
        if ip["assignee_id"] == server["id"]:
            if ip["auto_delete"]:
                scope.delete("primary_ip", ip)
            else:
                scope.save("primary_ip", {**ip, "assignee_id": None})
    for floating in scope.all("floating_ip"):
        if floating["server"] == server["id"]:
            scope.save("floating_ip", {**floating, "server": None})
    for firewall in scope.all("firewall"):
        rows = [row for row in firewall["applied_to"] if row.get("server") != {"id": server["id"]}]
        if rows != firewall["applied_to"]:
            scope.save("firewall", {**firewall, "applied_to": rows})
    for image in scope.all("image"):
        if image["bound_to"] == server["id"]:
            images.remove(scope, image)
    for balancer in scope.all("load_balancer"):
        targets = [row for row in balancer["targets"] if row.get("server") != {"id": server["id"]}]
        if targets != balancer["targets"]:
            scope.save("load_balancer", {**balancer, "targets": targets})
    scope.delete("server", server)
    lb_state.sync_later(scope)


def _not_deleted(scope: Scope, args: Data) -> None:
    """Hand the server back, so that the deletion can be tried again."""
    if server := scope.get("server", args["server"]):
        scope.save("server", {**server, "state": None})


def _begin(state: str) -> Operation:
    return Operation(begin=lambda scope, args: set_state(scope, args["server"], state))


def _power(work: Operation, state: str | None) -> Operation:
    begin = _begin(state).begin if state else Operation().begin
    return Operation(work=work.work, begin=begin, done=_started, failed=_clear)


OPERATIONS = {
    "create_server": Operation(work=_create, done=_created, failed=_not_created),
    "start_server": _power(Operation(_start), "starting"),
    "stop_server": _power(Operation(_stop), "stopping"),
    "shutdown_server": _power(Operation(_shutdown), None),
    "reboot_server": _power(Operation(_restart), None),
    "reset_server": _power(Operation(_restart), None),
    "rebuild_server": Operation(_rebuild, begin=_begin("rebuilding").begin, done=_changed, failed=_clear),
    "change_type": Operation(_change_type, done=_changed, failed=_clear),
    "delete_server": Operation(work=_delete, done=_deleted, failed=_not_deleted),
}
