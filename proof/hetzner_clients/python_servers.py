"""hcloud-python: the life of servers, and of what they are made of: images, volumes, addresses, groups, keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hcloud.images import Image
from hcloud.isos import Iso
from hcloud.networks import Network
from hcloud.placement_groups import PlacementGroup
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer, ServerCreatePublicNetwork
from hcloud.volumes import Volume

from proof.hetzner_clients.world import DEBIAN, FSN, KEY, SMALL, World, some
from tests.support import wait_for


def ssh_keys(w: World) -> None:
    """Create, find by name, fingerprint and label, rename, delete."""
    keys = w.client.ssh_keys
    key = keys.create("k", KEY, {"a": "b"})
    w.equal("the key is echoed", key.public_key, KEY)
    w.equal("by name", some(keys.get_by_name("k")).id, key.id)
    w.equal("by fingerprint", some(keys.get_by_fingerprint(str(key.fingerprint))).id, key.id)
    w.equal("by another name", keys.get_by_name("kk"), None)
    w.equal("by label", [row.id for row in keys.get_all(label_selector="a=b")], [key.id])
    w.refused("uniqueness_error", lambda: keys.create("other", KEY))
    w.refused("uniqueness_error", lambda: keys.create("k", KEY.replace("GSo", "GSp")))
    w.refused("invalid_input", lambda: keys.create("x", "no key"))
    w.refused("invalid_input", lambda: keys.create("x", KEY, {"-bad-": ""}))
    w.equal("renamed", (key.update("n", {}).name, keys.get_by_id(some(key.id)).labels), ("n", {}))
    key.delete()
    w.refused("not_found", lambda: keys.get_by_id(some(key.id)))


def servers(w: World) -> None:
    """Create, power, networks, rescue, ISO, backups, rDNS, resize, rebuild, protection, metrics, delete."""
    c = w.client.servers
    key = w.client.ssh_keys.create("k", KEY)
    made = c.create("web", SMALL, DEBIAN, ssh_keys=[key], location=FSN, user_data="#cloud-config\n", labels={"a": "b"})
    w.equal("no password with a key", made.root_password, None)
    w.equal("what follows", [action.command for action in made.next_actions], ["start_server"])
    w.done(made.action, *made.next_actions)
    server = c.get_by_id(some(made.server.id))
    w.equal("status", server.status, "running")
    w.equal("image", some(server.image).name, "debian-13")
    net = some(server.public_net)
    w.equal("IPv6 is a /64", str(some(net.ipv6).ip).endswith("::/64"), True)
    _refused_creates(w)
    _power(w, server)
    w.done(server.attach_to_network(w.network(), ip="10.0.1.7", alias_ips=["10.0.1.8"]))
    own = some(w.client.networks.get_by_name("net"))
    (nic,) = some(c.get_by_id(some(server.id)).private_net)
    w.equal("private address", (nic.ip, nic.alias_ips), ("10.0.1.7", ["10.0.1.8"]))
    w.refused("server_already_attached", lambda: server.attach_to_network(own))
    w.refused("not_found", lambda: server.attach_to_network(Network(id=4711)))
    w.done(server.change_alias_ips(own, ["10.0.1.9"]))
    w.done(server.detach_from_network(own))
    _settings(w, server)
    _resize_and_rebuild(w, server)
    now = datetime.now(UTC)
    series = some(server.get_metrics(["cpu", "network"], now - timedelta(hours=1), now).metrics.time_series)
    w.equal("series", "network.0.bandwidth.in" in series, True)
    w.equal("renamed", server.update("web2", {}).name, "web2")
    commands = {action.command for action in server.get_actions()}
    w.equal("history", {"create_server", "rebuild_server", "change_dns_ptr"} <= commands, True)
    w.equal("all ended", [row.id for row in server.get_actions(status=["running"])], [])
    w.equal("by status", [row.id for row in c.get_all(status=["running"])], [server.id])
    gone = server.delete()
    w.done(gone)
    w.refused("not_found", lambda: c.get_by_id(some(server.id)))
    w.equal("its action outlives it", w.client.actions.get_by_id(some(gone.id)).status, "success")
    w.equal("its addresses are gone", w.client.primary_ips.get_all(), [])


def _refused_creates(w: World) -> None:
    c = w.client.servers
    w.refused("uniqueness_error", lambda: c.create("web", SMALL, DEBIAN))
    w.refused("invalid_input", lambda: c.create("under_score", SMALL, DEBIAN))
    w.refused("invalid_input", lambda: c.create("x", ServerType(name="cx99"), DEBIAN))
    w.refused("invalid_input", lambda: c.create("x", SMALL, Image(name="plan9")))
    w.refused("invalid_input", lambda: c.create("x", SMALL, DEBIAN, user_data="x" * 32769))
    w.refused("not_found", lambda: c.create("x", SMALL, DEBIAN, volumes=[Volume(id=4711)]))
    w.refused("resource_unavailable", lambda: c.create("x", ServerType(name="cpx11"), DEBIAN, location=FSN))
    off = ServerCreatePublicNetwork(enable_ipv4=False, enable_ipv6=False)
    w.refused("invalid_input", lambda: c.create("x", SMALL, DEBIAN, public_net=off))
    w.equal("nothing half made", len(c.get_all()), 1)


def _power(w: World, server: BoundServer) -> None:
    c = w.client.servers
    w.done(server.power_off())
    w.equal("off", c.get_by_id(some(server.id)).status, "off")
    w.refused("server_not_running", server.reset_password)
    for act in (server.power_on, server.power_on, server.reboot, server.reset):
        w.done(act())
    w.equal("on", c.get_by_id(some(server.id)).status, "running")
    password = server.reset_password()
    w.done(password.action)
    w.equal("a password", bool(password.root_password), True)
    w.done(server.shutdown())
    wait_for(lambda: c.get_by_id(some(server.id)).status == "off", 60, "the server has shut down", 0.2)
    console = server.request_console()
    w.equal("console", console.wss_url.startswith("wss://"), True)
    w.done(server.power_on())


def _settings(w: World, server: BoundServer) -> None:
    c = w.client.servers
    rescue = server.enable_rescue("linux64")
    w.done(rescue.action)
    w.equal("rescue", (bool(rescue.root_password), c.get_by_id(some(server.id)).rescue_enabled), (True, True))
    w.done(server.disable_rescue())
    iso = w.client.isos.get_all(architecture=["x86"])[0]
    w.done(server.attach_iso(iso))
    w.equal("iso", some(c.get_by_id(some(server.id)).iso).id, iso.id)
    w.done(server.detach_iso())
    w.refused("invalid_input", lambda: server.attach_iso(Iso(name="none.iso")))
    w.done(server.enable_backup())
    w.equal("backups", bool(c.get_by_id(some(server.id)).backup_window), True)
    w.done(server.disable_backup())
    ip = str(some(some(server.public_net).ipv4).ip)
    w.done(server.change_dns_ptr(ip, "a.example.com"))
    w.equal("rDNS", some(some(c.get_by_id(some(server.id)).public_net).ipv4).dns_ptr, "a.example.com")
    w.done(server.change_dns_ptr(ip, None))
    w.refused("invalid_input", lambda: server.change_dns_ptr("203.0.113.1", "a.example.com"))
    w.done(server.change_protection(delete=True, rebuild=True))
    w.refused("protected", server.delete)
    w.refused("protected", lambda: server.rebuild(DEBIAN))
    w.done(server.change_protection(delete=False, rebuild=False))


def _resize_and_rebuild(w: World, server: BoundServer) -> None:
    c = w.client.servers
    w.refused("server_not_stopped", lambda: server.change_type(ServerType(name="cx33"), True))
    w.done(server.power_off())
    w.refused("invalid_server_type", lambda: server.change_type(ServerType(name="cax11"), True))
    w.done(server.change_type(ServerType(name="cx33"), True))
    again = c.get_by_id(some(server.id))
    w.equal("resized and on", (some(again.server_type).name, again.status), ("cx33", "running"))
    other = "debian-13" if w.real else "debian-12"
    w.done(server.rebuild(Image(name=other)).action)
    w.equal("rebuilt", some(c.get_by_id(some(server.id)).image).name, other)


def images(w: World) -> None:
    """System images; snapshots and backups made of a server, used, changed, protected, deleted."""
    c, server = w.client.images, w.server("s")
    found = some(c.get_by_name_and_architecture("debian-13", "x86"))
    w.equal("system image", (found.type, found.os_flavor), ("system", "debian"))
    w.refused("forbidden", lambda: c.delete(found))
    w.refused("invalid_input", lambda: server.create_image("b", "backup"))
    made = server.create_image("one", "snapshot", {"a": "b"})
    w.done(made.action)
    snapshot = c.get_by_id(some(made.image.id))
    w.equal(
        "snapshot", (snapshot.status, snapshot.name, some(snapshot.created_from).id), ("available", None, server.id)
    )
    w.done(server.enable_backup())
    w.done(server.create_image(type="backup").action)
    (backup,) = c.get_all(type=["backup"], bound_to=[str(server.id)])
    w.equal("a backup becomes a snapshot", c.update(backup, type="snapshot").type, "snapshot")
    w.equal("described", c.update(snapshot, description="two", labels={}).description, "two")
    copy = w.client.servers.create("copy", SMALL, Image(id=snapshot.id))
    w.done(copy.action)
    w.done(snapshot.change_protection(delete=True))
    w.refused("protected", snapshot.delete)
    w.done(snapshot.change_protection(delete=False))
    w.equal("history", "create_image" in [row.command for row in snapshot.get_actions()], True)
    snapshot.delete()
    w.refused("not_found", lambda: c.get_by_id(some(snapshot.id)))
    w.equal("its server knows it", some(w.client.servers.get_by_id(some(copy.server.id)).image).id, snapshot.id)


def volumes(w: World) -> None:
    """Create, attach, resize, detach, protect, delete."""
    c, server = w.client.volumes, w.server("s")
    made = c.create(10, "data", location=FSN, format="ext4")
    w.done(made.action, *made.next_actions)
    volume = c.get_by_id(some(made.volume.id))
    w.equal("available", (volume.status, volume.format, volume.server), ("available", "ext4", None))
    w.equal("device", volume.linux_device, f"/dev/disk/by-id/scsi-0HC_Volume_{volume.id}")
    w.refused("invalid_input", lambda: c.create(5, "small", location=FSN))
    w.refused("uniqueness_error", lambda: c.create(10, "data", location=FSN))
    w.done(volume.attach(server, automount=True))
    w.refused("volume_already_attached", lambda: volume.attach(server))
    w.refused("service_error", volume.delete)
    w.done(volume.resize(20))
    w.refused("invalid_input", lambda: volume.resize(10))
    attached = c.get_by_id(some(volume.id))
    w.equal("attached", (attached.size, some(attached.server).id), (20, server.id))
    second = c.create(10, "at-once", server=server, automount=True, format="xfs")
    w.equal("what follows", [action.command for action in second.next_actions], ["attach_volume"])
    w.done(second.action, *second.next_actions)
    w.done(volume.detach())
    w.refused("service_error", volume.detach)
    w.done(volume.change_protection(delete=True))
    w.refused("protected", volume.delete)
    w.done(volume.change_protection(delete=False))
    w.equal("renamed", volume.update("new", {}).name, "new")
    w.equal("history", {"attach_volume", "resize_volume"} <= {row.command for row in volume.get_actions()}, True)
    volume.delete()
    w.refused("not_found", lambda: c.get_by_id(some(volume.id)))
    w.done(server.delete())
    w.equal("kept when its server goes", c.get_by_id(some(second.volume.id)).server, None)


def primary_ips(w: World) -> None:
    """Create, give to a stopped server, take away, rDNS of both versions, protect, delete."""
    c = w.client.primary_ips
    four = c.create("ipv4", "four", location=FSN, labels={"a": "b"}).primary_ip
    six = c.create("ipv6", "six", location=FSN, auto_delete=True).primary_ip
    w.equal("IPv6 is a /64", str(six.ip).endswith("::/64"), True)
    w.equal("free", (four.assignee_id, four.auto_delete, four.assignee_type), (None, False, "server"))
    w.refused("uniqueness_error", lambda: c.create("ipv4", "four", location=FSN))
    w.refused("invalid_input", lambda: c.create("ipv5", "five", location=FSN))
    w.equal(
        "by address", [row["id"] for row in w.api.ask("GET", f"/primary_ips?ip={four.ip}")["primary_ips"]], [four.id]
    )
    public = ServerCreatePublicNetwork(ipv4=four, ipv6=six)
    server = w.server("s", public_net=public)
    w.equal("the server has it", some(some(server.public_net).ipv4).ip, four.ip)
    other = w.server("other", start_after_create=False)
    w.refused("primary_ip_already_assigned", lambda: four.assign(some(other.id), "server"))
    w.refused("must_be_unassigned", four.delete)
    w.refused("server_not_stopped", four.unassign)
    w.done(server.power_off())
    w.done(four.unassign())
    w.refused("server_has_ipv4", lambda: four.assign(some(other.id), "server"))
    w.done(four.assign(some(server.id), "server"))
    w.done(four.change_dns_ptr(str(four.ip), "a.example.com"))
    w.done(six.change_dns_ptr(str(six.ip).replace("/64", "9"), "b.example.com"))
    w.equal("rDNS", [row["dns_ptr"] for row in some(c.get_by_id(some(four.id)).dns_ptr)], ["a.example.com"])
    w.equal("rDNS, IPv6", [row["dns_ptr"] for row in some(c.get_by_id(some(six.id)).dns_ptr)], ["b.example.com"])
    w.done(four.change_protection(delete=True))
    w.equal("renamed", four.update(name="new", auto_delete=False, labels={}).name, "new")
    w.done(server.delete())
    w.equal(
        "one goes with the server, one stays", [row.name for row in c.get_all() if row.assignee_id is None], ["new"]
    )
    w.refused("protected", four.delete)
    w.done(four.change_protection(delete=False))
    w.equal("history", "assign_primary_ip" in [row.command for row in four.get_actions()], True)
    four.delete()
    w.refused("not_found", lambda: c.get_by_id(some(four.id)))


def floating_ips(w: World) -> None:
    """Create with and without a server, move, rDNS, protect, delete."""
    c, server = w.client.floating_ips, w.server("s")
    made = c.create("ipv4", "a way in", {"a": "b"}, home_location=FSN, name="f")
    ip = made.floating_ip
    w.equal("nothing to wait for", made.action, None)
    w.equal("free", (ip.server, ip.description, ip.blocked), (None, "a way in", False))
    w.refused("invalid_input", lambda: c.create("ipv4"))
    w.refused("uniqueness_error", lambda: c.create("ipv4", home_location=FSN, name="f"))
    w.done(ip.assign(server))
    w.equal("assigned", some(c.get_by_id(some(ip.id)).server).id, server.id)
    w.refused("must_be_unassigned", ip.delete)
    six = c.create("ipv6", server=server)
    w.done(six.action)
    w.equal(
        "both at the server", len(some(some(w.client.servers.get_by_id(some(server.id)).public_net).floating_ips)), 2
    )
    w.done(ip.change_dns_ptr(str(ip.ip), "f.example.com"))
    w.equal("rDNS", some(c.get_by_id(some(ip.id)).dns_ptr)[0]["dns_ptr"], "f.example.com")
    w.done(ip.unassign())
    w.refused("floating_ip_not_assigned", ip.unassign)
    w.done(ip.change_protection(delete=True))
    w.refused("protected", ip.delete)
    w.done(ip.change_protection(delete=False))
    w.equal("changed", ip.update("other", {}, "g").name, "g")
    w.equal("history", "assign_floating_ip" in [row.command for row in ip.get_actions()], True)
    ip.delete()
    w.done(server.delete())
    w.equal("free again", c.get_by_id(some(six.floating_ip.id)).server, None)


def placement_groups(w: World) -> None:
    """Create, fill, empty, delete."""
    c = w.client.placement_groups
    made = c.create("g", "spread", {"a": "b"})
    w.equal("nothing to wait for", made.action, None)
    group = made.placement_group
    w.refused("invalid_input", lambda: c.create("h", "heap"))
    w.refused("uniqueness_error", lambda: c.create("g", "spread"))
    servers = [w.server(f"s{number}", placement_group=group, start_after_create=False) for number in range(10)]
    w.equal("full", len(some(c.get_by_id(some(group.id)).servers)), 10)
    w.refused("placement_error", lambda: w.server("s10", placement_group=group))
    w.refused("resource_in_use", group.delete)
    w.done(servers[0].remove_from_placement_group())
    w.refused("not_found", lambda: servers[0].add_to_placement_group(PlacementGroup(id=4711)))
    w.done(servers[0].add_to_placement_group(group))
    w.done(servers[0].remove_from_placement_group(), servers[0].power_on())
    w.refused("server_not_stopped", lambda: servers[0].add_to_placement_group(group))
    w.equal("renamed", group.update(labels={}, name="n").name, "n")
    w.equal("by label", c.get_all(label_selector="a"), [])
    w.done(*[server.delete() for server in servers])
    group.delete()
    w.refused("not_found", lambda: c.get_by_id(some(group.id)))
