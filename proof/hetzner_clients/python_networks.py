"""hcloud-python: the life of networks, firewalls, load balancers, certificates, zones and storage boxes."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta

from hcloud.actions import ActionFailedException
from hcloud.firewalls import FirewallResource, FirewallResourceLabelSelector, FirewallRule
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import (
    BoundLoadBalancer,
    LoadBalancerAlgorithm,
    LoadBalancerHealthCheck,
    LoadBalancerService,
    LoadBalancerServiceHttp,
    LoadBalancerTarget,
    LoadBalancerTargetIP,
    LoadBalancerTargetLabelSelector,
)
from hcloud.networks import NetworkRoute, NetworkSubnet
from hcloud.servers import BoundServer
from hcloud.storage_box_types import StorageBoxType
from hcloud.storage_boxes import StorageBoxAccessSettings, StorageBoxSnapshotPlan
from hcloud.zones import ZonePrimaryNameserver, ZoneRecord

from proof.hetzner_clients.world import FSN, PASSWORD, World, some


def networks(w: World) -> None:
    """Create, subnets, routes, members, range, protect, delete with members."""
    c, net = w.client.networks, w.network()
    w.refused("uniqueness_error", w.network)
    w.refused("invalid_input", lambda: c.create("x", "8.8.8.0/24"))
    second = NetworkSubnet(ip_range="10.0.2.0/24", type="cloud", network_zone="eu-central")
    w.done(net.add_subnet(second))
    w.refused("invalid_input", lambda: net.add_subnet(second))
    route = NetworkRoute(destination="10.100.0.0/16", gateway="10.0.1.5")
    w.done(net.add_route(route))
    w.equal("gateway", {row.gateway for row in some(c.get_by_id(some(net.id)).subnets)}, {"10.0.0.1"})
    server = w.server("s", networks=[net])
    made = w.client.load_balancers.create("lb", LoadBalancerType(name="lb11"), location=FSN, network=net)
    w.done(made.action)
    first = net.get_member_all(sort=["type"])[0]
    w.equal("members", (first.type, first.status), ("load_balancer", "ok"))
    w.equal("members by type", [row.id for row in net.get_member_all(type=["server"])], [server.id])
    w.refused("service_error", lambda: net.delete_subnet(second))
    w.done(net.delete_route(route))
    w.done(net.change_ip_range("10.0.0.0/15"))
    w.refused("invalid_input", lambda: net.change_ip_range("10.0.0.0/24"))
    w.done(net.change_protection(delete=True))
    w.refused("protected", net.delete)
    w.done(net.change_protection(delete=False))
    w.equal("renamed", net.update("n", expose_routes_to_vswitch=True, labels={"a": "b"}).expose_routes_to_vswitch, True)
    w.equal("history", "add_subnet" in [row.command for row in net.get_actions()], True)
    net.delete()
    w.equal("its members are free", w.client.servers.get_by_id(some(server.id)).private_net, [])
    w.refused("not_found", lambda: c.get_by_id(some(net.id)))


def firewalls(w: World) -> None:
    """Create with rules, replace them, apply to a server and a label, take off, delete."""
    c, server = w.client.firewalls, w.server("s", labels={"app": "x"})
    ssh = FirewallRule("in", "tcp", ["0.0.0.0/0", "::/0"], port="22", description="shell")
    made = c.create("f", [ssh])
    w.done(*some(made.actions))
    firewall = made.firewall
    w.refused("uniqueness_error", lambda: c.create("f"))
    for rule in (
        FirewallRule("in", "tcp", ["0.0.0.0/0"]),
        FirewallRule("in", "icmp", ["0.0.0.0/0"], port="1"),
        FirewallRule("in", "udp", ["10.0.0.1/8"], port="53"),
        FirewallRule("out", "udp", [], port="53", destination_ips=["x"]),
    ):
        w.refused("invalid_input", functools.partial(firewall.set_rules, [rule]))
    to_server = FirewallResource("server", server=server)
    w.done(*firewall.apply_to_resources([to_server]))
    w.refused("firewall_already_applied", lambda: firewall.apply_to_resources([to_server]))
    w.refused("resource_in_use", firewall.delete)
    out = FirewallRule("out", "icmp", [], destination_ips=["0.0.0.0/0"])
    w.done(*firewall.set_rules([ssh, out]))
    w.equal("rules", [row.direction for row in some(c.get_by_id(some(firewall.id)).rules)], ["in", "out"])
    if not w.real:
        w.equal("the machine has them", len(w.api.backend.firewalls[some(server.id)] or ()), 2)
    w.done(*firewall.remove_from_resources([to_server]))
    w.refused("firewall_resource_not_found", lambda: firewall.remove_from_resources([to_server]))
    by_label = FirewallResource("label_selector", label_selector=FirewallResourceLabelSelector("app=x"))
    w.done(*firewall.apply_to_resources([by_label]))
    w.refused("firewall_managed_by_label_selector", lambda: firewall.remove_from_resources([to_server]))
    found = some(some(w.client.servers.get_by_id(some(server.id)).public_net).firewalls)
    w.equal("the label has brought it", [row.firewall.id for row in found], [firewall.id])
    server.update(labels={})
    found = some(some(w.client.servers.get_by_id(some(server.id)).public_net).firewalls)
    w.equal("and its loss takes it", found, [])
    w.done(*firewall.remove_from_resources([by_label]))
    w.equal("renamed", firewall.update(name="g", labels={}).name, "g")
    w.equal("history", "apply_firewall" in [row.command for row in firewall.get_actions()], True)
    firewall.delete()
    w.refused("not_found", lambda: c.get_by_id(some(firewall.id)))


def load_balancers(w: World) -> None:
    """Create, services, targets, networks, interface, algorithm, type, rDNS, metrics, protect, delete."""
    c, server = w.client.load_balancers, w.server("s", labels={"app": "x"})
    made = c.create("lb", LoadBalancerType(name="lb11"), location=FSN, labels={"a": "b"})
    w.done(made.action)
    balancer = c.get_by_id(some(made.load_balancer.id))
    w.equal("algorithm", some(balancer.algorithm).type, "round_robin")
    w.refused("uniqueness_error", lambda: c.create("lb", LoadBalancerType(name="lb11"), location=FSN))
    w.refused("invalid_input", lambda: c.create("x", LoadBalancerType(name="lb99"), location=FSN))
    w.refused("invalid_input", lambda: c.create("x", LoadBalancerType(name="lb11")))
    _services(w, balancer)
    _targets(w, balancer, server)
    w.done(balancer.change_algorithm(LoadBalancerAlgorithm("least_connections")))
    w.done(balancer.change_type(LoadBalancerType(name="lb21")))
    ip = str(some(some(balancer.public_net).ipv4).ip)
    w.done(balancer.change_dns_ptr(ip, "lb.example.com"))
    now = datetime.now(UTC)
    series = balancer.get_metrics("bandwidth", now - timedelta(hours=1), now).metrics.time_series
    w.equal("series", set(some(series)), {"bandwidth.in", "bandwidth.out"})
    w.done(balancer.change_protection(delete=True))
    w.refused("protected", balancer.delete)
    w.done(balancer.change_protection(delete=False))
    w.equal("renamed", balancer.update("n", {}).name, "n")
    w.equal("history", "add_service" in [row.command for row in balancer.get_actions()], True)
    balancer.delete()
    w.refused("not_found", lambda: c.get_by_id(some(balancer.id)))


def _services(w: World, balancer: BoundLoadBalancer) -> None:
    tcp = LoadBalancerService(protocol="tcp", listen_port=5432, destination_port=5432)
    w.done(balancer.add_service(tcp))
    w.refused("source_port_already_used", lambda: balancer.add_service(tcp))
    chain, key = w.certificate("www.example.com")
    certificate = w.client.certificates.create("c", chain, key)
    http = LoadBalancerServiceHttp(certificates=[certificate], sticky_sessions=True, redirect_http=True)
    https = LoadBalancerService(protocol="https", listen_port=443, destination_port=80, http=http)
    w.refused("invalid_input", lambda: balancer.add_service(LoadBalancerService(protocol="https", listen_port=444)))
    w.done(balancer.add_service(https))
    w.refused("resource_in_use", certificate.delete)
    check = LoadBalancerHealthCheck(protocol="tcp", port=81, interval=5, timeout=3, retries=2)
    w.done(balancer.update_service(LoadBalancerService(listen_port=443, health_check=check)))
    again = some(w.client.load_balancers.get_by_id(some(balancer.id)).services)[1]
    w.equal("changed in part", (some(again.health_check).port, some(again.http).cookie_name), (81, "HCLBSTICKY"))
    w.done(balancer.delete_service(LoadBalancerService(listen_port=443)))
    w.refused("not_found", lambda: balancer.delete_service(LoadBalancerService(listen_port=443)))
    certificate.delete()


def _targets(w: World, balancer: BoundLoadBalancer, server: BoundServer) -> None:
    c, net = w.client.load_balancers, w.network()
    public = LoadBalancerTarget("server", server=server, use_private_ip=False)
    private = LoadBalancerTarget("server", server=server, use_private_ip=True)
    w.done(balancer.add_target(public))
    w.refused("target_already_defined", lambda: balancer.add_target(public))
    w.done(balancer.remove_target(public))
    w.refused("load_balancer_target_not_found", lambda: balancer.remove_target(public))
    w.refused("load_balancer_not_attached_to_network", lambda: balancer.add_target(private))
    w.refused("load_balancer_not_attached_to_network", balancer.disable_public_interface)
    w.done(balancer.attach_to_network(net, ip="10.0.1.50"))
    w.refused("load_balancer_already_attached", lambda: balancer.attach_to_network(net))
    w.refused("server_not_attached_to_network", lambda: balancer.add_target(private))
    w.done(server.attach_to_network(net), balancer.add_target(private))
    w.done(balancer.disable_public_interface(), balancer.enable_public_interface())
    label = LoadBalancerTarget(
        "label_selector", label_selector=LoadBalancerTargetLabelSelector("app=x"), use_private_ip=False
    )
    w.done(balancer.add_target(label))
    w.done(balancer.add_target(LoadBalancerTarget("ip", ip=LoadBalancerTargetIP("203.0.113.5"))))
    w.refused("targets_without_use_private_ip", balancer.disable_public_interface)
    targets = some(c.get_by_id(some(balancer.id)).targets)
    w.equal("targets", [row.type for row in targets], ["server", "label_selector", "ip"])
    w.equal("servers of the label", [some(row.server).id for row in some(targets[1].targets)], [server.id])
    w.done(balancer.remove_target(private), balancer.detach_from_network(net))


def certificates(w: World) -> None:
    """Uploaded and managed."""
    c = w.client.certificates
    chain, key = w.certificate("a.example.com", "*.b.example.com")
    uploaded = c.create("u", chain, key, {"a": "b"})
    w.equal("read from the PEM", uploaded.domain_names, ["a.example.com", "*.b.example.com"])
    w.refused("invalid_input", lambda: c.create("x", "no PEM", key))
    w.refused("invalid_input", lambda: c.create("x", chain, w.certificate("c.example.com")[1]))
    w.refused("uniqueness_error", lambda: c.create("u", chain, key))
    made = c.create_managed("m", ["www.example.com"])
    w.equal("not there yet", made.certificate.certificate, None)
    w.done(made.action)
    managed = c.get_by_id(some(made.certificate.id))
    w.equal("issued", (some(managed.status).issuance, managed.domain_names), ("completed", ["www.example.com"]))
    w.refused("unsupported_error", managed.retry_issuance)
    w.refused("invalid_input", lambda: c.create_managed("x", []))
    elsewhere = w.client.zones.create(
        name="example.org", mode="secondary", primary_nameservers=[ZonePrimaryNameserver("203.0.113.53")]
    ).zone
    failed = c.create_managed("f", ["f.example.org"])
    try:
        some(failed.action).wait_until_finished()
    except ActionFailedException as error:
        w.equal("the action failed", error.action.status, "error")
    broken = c.get_by_id(some(failed.certificate.id))
    state = some(broken.status)
    w.equal("and says why", (state.issuance, some(state.error).code), ("failed", "dns_zone_is_secondary_zone"))
    w.done(elsewhere.delete().action)
    w.done(broken.retry_issuance())
    w.equal("by label", [row.id for row in c.get_all(label_selector="a")], [uploaded.id])
    w.equal("renamed", managed.update("n", {}).name, "n")
    w.equal("history", [row.command for row in managed.get_actions()], ["create_certificate"])
    managed.delete()
    w.refused("not_found", lambda: c.get_by_id(some(managed.id)))


def zones(w: World) -> None:
    """Zones, record sets and zone files."""
    c = w.client.zones
    made = c.create(name="example.com", mode="primary", labels={"a": "b"})
    w.done(made.action)
    zone = c.get("example.com")
    w.refused("uniqueness_error", lambda: c.create(name="example.com", mode="primary"))
    w.refused("invalid_input", lambda: c.create(name="Example", mode="primary"))
    www = zone.create_rrset(name="www", type="A", records=[ZoneRecord("203.0.113.1", "web")])
    w.done(www.action)
    w.refused("uniqueness_error", lambda: zone.create_rrset(name="www", type="A", records=[ZoneRecord("203.0.113.1")]))
    w.refused("invalid_input", lambda: zone.create_rrset(name="x", type="A", records=[ZoneRecord("::1")]))
    rrset = www.rrset
    w.done(rrset.add_rrset_records([ZoneRecord("203.0.113.2")]), rrset.change_rrset_ttl(300))
    w.done(rrset.set_rrset_records([ZoneRecord("203.0.113.3")]), rrset.change_rrset_protection(change=True))
    w.refused("protected", rrset.delete_rrset)
    w.done(rrset.change_rrset_protection(change=False))
    w.done(rrset.update_rrset_records([ZoneRecord("203.0.113.3", "new")]))
    again = zone.get_rrset("www", "A")
    w.equal("records", [(row.value, row.comment) for row in some(again.records)], [("203.0.113.3", "new")])
    text = zone.export_zonefile().zonefile
    w.done(rrset.delete_rrset().action)
    w.done(zone.import_zonefile(text))
    w.equal("imported", zone.get_rrset("www", "A").ttl, 300)
    w.done(zone.change_ttl(600), zone.change_protection(delete=True))
    w.refused("protected", zone.delete)
    w.done(zone.change_protection(delete=False))
    w.refused("incorrect_zone_mode", lambda: zone.change_primary_nameservers([]))
    w.equal("labels", zone.update(labels={"x": "y"}).labels, {"x": "y"})
    w.equal("history", "import_zonefile" in [row.command for row in zone.get_actions()], True)
    w.done(zone.delete().action)
    w.refused("not_found", lambda: c.get("example.com"))


def storage_boxes(w: World) -> None:
    """Boxes, their snapshots and subaccounts."""
    c = w.client.storage_boxes
    made = c.create(name="box", storage_box_type=StorageBoxType(name="bx11"), location=FSN, password=PASSWORD)
    w.done(made.action)
    box, small = made.storage_box, StorageBoxType(name="bx11")
    w.refused("uniqueness_error", lambda: c.create(name="box", storage_box_type=small, location=FSN, password=PASSWORD))
    w.refused("invalid_input", lambda: c.create(name="b", storage_box_type=small, location=FSN, password=PASSWORD[:5]))
    w.done(box.update_access_settings(StorageBoxAccessSettings(ssh_enabled=True)), box.reset_password(PASSWORD))
    w.done(box.enable_snapshot_plan(StorageBoxSnapshotPlan(max_snapshots=3, hour=1, minute=2)))
    w.done(box.change_type(StorageBoxType(name="bx21")), box.disable_snapshot_plan())
    snapshot = box.create_snapshot(description="before")
    w.done(snapshot.action, box.rollback_snapshot(snapshot.snapshot))
    w.equal("described", snapshot.snapshot.update(description="d").description, "d")
    account = box.create_subaccount(home_directory="a", password=PASSWORD)
    w.done(account.action, account.subaccount.change_home_directory("b"), account.subaccount.reset_password(PASSWORD))
    w.equal("subaccounts", [row.home_directory for row in box.get_subaccount_all()], ["b"])
    w.done(account.subaccount.delete().action, snapshot.snapshot.delete().action)
    w.done(box.change_protection(delete=True))
    w.refused("protected", box.delete)
    w.done(box.change_protection(delete=False))
    w.equal("renamed", box.update(name="n", labels={"a": "b"}).name, "n")
    w.equal("history", "change_type" in [row.command for row in box.get_actions()], True)
    w.done(box.delete().action)
    w.refused("not_found", lambda: c.get_by_id(some(box.id)))
