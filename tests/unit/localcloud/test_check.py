"""`localcloud check`: a cloud that agrees, and every kind of disagreement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from localcloud.check import Host, compare
from tests.unit.localcloud.conftest import Rig

SERVER = {"name": "a", "server_type": "cx23", "image": "debian-13", "location": "fsn1"}


def _census(rig: Rig) -> Host:
    """What a host would show that follows the API."""
    backend = rig.backend
    specs = {
        n: {**asdict(s), "nics": [asdict(x) for x in backend.nics[n].values()]} for n, s in backend.servers.items()
    }
    names = {"slc", *(f"slc-{n}" for n in (*specs, *backend.balancers)), *(f"slc-n{n}" for n in backend.networks)}
    return Host(
        servers=specs, running=set(backend.running), wanted=set(backend.running), disks=set(specs), namespaces=names,
        networks=dict(backend.networks), routes=dict(backend.routes),
        volumes={n: size for n, (size, _) in backend.volumes.items()},
        attached=dict(backend.attached), images=set(backend.image_of), balancers=set(backend.balancers),
        floating=dict(backend.floating),
    )  # fmt: skip


@pytest.fixture
def host(rig: Rig) -> Host:
    """One object of each kind, at rest."""
    subnets = [{"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}]
    network = rig.ask("POST", "/networks", {"name": "n", "ip_range": "10.0.0.0/16", "subnets": subnets}, 201)["network"]
    server = rig.done(rig.ask("POST", "/servers", {**SERVER, "networks": [network["id"]]}, 201))["server"]["id"]
    rig.done(rig.ask("POST", "/volumes", {"name": "v", "size": 10, "server": server}, 201))
    rig.done(rig.ask("POST", "/floating_ips", {"type": "ipv4", "server": server}, 201))
    rig.done(rig.ask("POST", f"/servers/{server}/actions/create_image", {}, 201))
    balancer = {"name": "lb", "load_balancer_type": "lb11", "location": "fsn1", "network": network["id"]}
    rig.done(rig.ask("POST", "/load_balancers", balancer, 201))
    return _census(rig)


def test_agreement(rig: Rig, host: Host) -> None:
    checked, problems = compare(rig.cloud.store, host)
    assert problems == []
    assert checked >= 14


BROKEN: list[tuple[str, Callable[[Host], dict[str, Any]]]] = [
    ("servers", lambda h: {"servers": {}}),
    ("IPv4", lambda h: {"servers": {n: {**s, "ipv4": "192.0.2.1"} for n, s in h.servers.items()}}),
    ("private networks", lambda h: {"servers": {n: {**s, "nics": []} for n, s in h.servers.items()}}),
    ("disk", lambda h: {"disks": set()}),
    ("running", lambda h: {"running": set()}),
    ("networks", lambda h: {"networks": {**h.networks, 999: "10.9.0.0/16"}}),
    ("routes", lambda h: {"routes": {n: [("10.5.0.0/16", "10.0.1.9")] for n in h.routes}}),
    ("range", lambda h: {"networks": dict.fromkeys(h.networks, "10.8.0.0/16")}),
    ("volumes", lambda h: {"volumes": {}}),
    ("size", lambda h: {"volumes": dict.fromkeys(h.volumes, 11)}),
    (": server", lambda h: {"attached": {}}),
    ("images", lambda h: {"images": set()}),
    ("load balancers", lambda h: {"balancers": {999}}),
    ("floating IPs", lambda h: {"floating": {}}),
    ("namespaces", lambda h: {"namespaces": h.namespaces | {"slc-999"}}),
    ("namespaces", lambda h: {"namespaces": h.namespaces - {f"slc-{n}" for n in h.servers}}),
]


def test_disagreements(rig: Rig, host: Host) -> None:
    for what, change in BROKEN:
        _, problems = compare(rig.cloud.store, replace(host, **change(host)))
        assert any(what in line for line in problems), (what, problems)


def test_a_server_that_is_off_needs_no_namespace(rig: Rig, host: Host) -> None:
    names = host.namespaces - {f"slc-{n}" for n in host.servers}
    assert compare(rig.cloud.store, replace(host, running=set(), wanted=set(), namespaces=names))[1] == []
    assert compare(rig.cloud.store, replace(host, running=set(), wanted=set()))[1] == []


def test_what_is_under_way_is_left_alone(rig: Rig, host: Host) -> None:
    rig.cloud.stop()
    server = next(iter(host.servers))
    rig.ask("DELETE", f"/servers/{server}", status=200)
    half = replace(
        host, servers={}, disks=set(), running=set(), attached={}, namespaces=host.namespaces - {f"slc-{server}"}
    )
    assert [line for line in compare(rig.cloud.store, half)[1] if "floating" not in line] == []
