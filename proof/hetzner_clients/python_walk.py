"""hcloud-python: the catalogue, what holds for every request, and the table of all walks."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from hcloud import Client
from hcloud.exp.zone import format_txt_record

from proof.hetzner_clients import python_networks, python_servers
from proof.hetzner_clients.world import FSN, KEY, World, some


def catalogue(w: World) -> None:
    """Locations, datacenters, types, images, ISOs, prices."""
    c = w.client
    w.equal("locations", [row.name for row in c.locations.get_all()][:3], ["fsn1", "nbg1", "hel1"])
    w.equal("by name", some(c.locations.get_by_name("hel1")).network_zone, "eu-central")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # gone at Hetzner; older clients still ask
        w.equal("datacenters", some(some(c.datacenters.get_by_name("fsn1-dc14")).location).name, "fsn1")
    small = some(c.server_types.get_by_name("cx23"))
    w.equal("server type", (small.cores, small.memory, small.disk, small.architecture), (2, 4.0, 40, "x86"))
    w.equal("its locations", {row.location.name for row in some(small.locations)}, {"fsn1", "nbg1", "hel1"})
    w.equal("balancer type", some(c.load_balancer_types.get_by_name("lb11")).max_targets, 25)
    w.equal("x86 before arm", [row.architecture for row in c.images.get_all(name="debian-13")], ["x86", "arm"])
    w.equal("ISO", bool(c.isos.get_all(architecture=["arm"])), True)
    w.equal("storage box type", some(c.storage_box_types.get_by_name("bx11")).snapshot_limit, 10)
    w.equal("prices", w.api.ask("GET", "/pricing")["pricing"]["currency"], "EUR")
    w.refused("not_found", lambda: c.locations.get_by_id(4711))


def every_request(w: World) -> None:
    """Tokens, projects, pages, sorting, selectors, actions of a project."""
    c = w.client
    w.refused("unauthorized", lambda: Client("x" * 64, api_endpoint=w.api.endpoint).servers.get_all())
    (project, _) = some(w.api.cloud.store.find_token(w.api.token))
    reader = Client(w.api.cloud.store.add_token(project, read_only=True), api_endpoint=w.api.endpoint)
    w.equal("a reading token reads", reader.servers.get_all(), [])
    w.refused("token_readonly", lambda: reader.ssh_keys.create("k", KEY))
    for number in range(60):
        c.placement_groups.create(f"g{number:02}", "spread", {"odd": str(number % 2), "n": str(number)})
    first = c.placement_groups.get_list(per_page=50)
    w.equal("a page", (len(first.placement_groups), some(first.meta.pagination).total_entries), (50, 60))
    w.equal("all pages", len(c.placement_groups.get_all()), 60)
    selectors = {"odd=1": 30, "odd!=1": 30, "n in (1,2,3)": 3, "n notin (1,2,3)": 57, "odd,n=7": 1, "!odd": 0}
    for selector, number in selectors.items():
        w.equal(f"selector {selector}", len(c.placement_groups.get_all(label_selector=selector)), number)
    w.refused("invalid_input", lambda: c.placement_groups.get_all(label_selector="a=b=c"))
    names = [row.name for row in c.placement_groups.get_all(sort=["name:desc"])]
    w.equal("sorted", names, sorted(map(str, names), reverse=True))
    w.refused("invalid_input", lambda: c.placement_groups.get_all(sort=["colour"]))
    volume = c.volumes.create(10, "v", location=FSN)
    w.done(volume.action)
    w.equal("an action by its id", c.actions.get_by_id(some(volume.action.id)).command, "create_volume")
    w.equal("actions of a kind", [row.command for row in c.volumes.actions.get_all()], ["create_volume"])
    w.refused("deprecated_api_endpoint", lambda: c.actions._client.request(method="GET", url="/actions"))
    w.equal("helper of the client", format_txt_record("a"), '"a"')


WALKS: dict[str, Callable[[World], None]] = {
    "catalogue": catalogue,
    "every request": every_request,
    "ssh keys": python_servers.ssh_keys,
    "servers": python_servers.servers,
    "images": python_servers.images,
    "volumes": python_servers.volumes,
    "primary IPs": python_servers.primary_ips,
    "floating IPs": python_servers.floating_ips,
    "placement groups": python_servers.placement_groups,
    "networks": python_networks.networks,
    "firewalls": python_networks.firewalls,
    "load balancers": python_networks.load_balancers,
    "certificates": python_networks.certificates,
    "zones": python_networks.zones,
    "storage boxes": python_networks.storage_boxes,
}
