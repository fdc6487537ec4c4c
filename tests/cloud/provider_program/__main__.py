"""Every resource type of pulumi-hcloud, each with what it hangs on.

Config: `public_key`, `certificate`, `certificate_key`, `password`; `size` (server type), `environment` (a label),
`volume_size`, `ttl` and `user_data` vary between the steps.
"""

from __future__ import annotations

import pulumi
import pulumi_hcloud as hcloud

config = pulumi.Config()
labels = {"app": "demo", "env": config.require("environment")}
location = "fsn1"

key = hcloud.SshKey("key", public_key=config.require("public_key"), labels=labels)
network = hcloud.Network("net", ip_range="10.0.0.0/16", labels=labels)
network_id = network.id.apply(int)
subnet = hcloud.NetworkSubnet(
    "subnet", network_id=network_id, type="cloud", network_zone="eu-central", ip_range="10.0.1.0/24"
)
hcloud.NetworkRoute("route", network_id=network_id, destination="10.100.0.0/16", gateway="10.0.1.5")
rules: list[hcloud.FirewallRuleArgsDict] = [
    {"direction": "in", "protocol": "tcp", "port": "443", "source_ips": ["0.0.0.0/0", "::/0"], "description": "web"},
    {"direction": "in", "protocol": "icmp", "source_ips": ["0.0.0.0/0", "::/0"]},
    {"direction": "out", "protocol": "udp", "port": "1-65535", "destination_ips": ["0.0.0.0/0"]},
]
if config.require("environment") == "prod":
    rules.append({"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["203.0.113.0/24"]})
firewall = hcloud.Firewall("firewall", labels=labels, rules=rules)
hcloud.Firewall("by-label", rules=rules[:1], apply_tos=[{"label_selector": "app=demo"}])
primary_ip = hcloud.PrimaryIp(
    "ip", type="ipv4", assignee_type="server", location=location, auto_delete=False, labels=labels
)
hcloud.Rdns("rdns", primary_ip_id=primary_ip.id.apply(int), ip_address=primary_ip.ip_address, dns_ptr="a.example.com")
group = hcloud.PlacementGroup("group", type="spread", labels=labels)
volume = hcloud.Volume(
    "volume", size=config.require_int("volume_size"), location=location, format="ext4", labels=labels
)

main = hcloud.Server(
    "main",
    server_type=config.require("size"),
    image="debian-13",
    location=location,
    ssh_keys=[key.id],
    user_data=config.require("user_data"),
    placement_group_id=group.id.apply(int),
    public_nets=[{"ipv4_enabled": True, "ipv4": primary_ip.id.apply(int), "ipv6_enabled": True}],
    networks=[{"network_id": network_id, "ip": "10.0.1.5"}],
    backups=config.require("environment") == "prod",
    labels=labels,
    opts=pulumi.ResourceOptions(depends_on=[subnet], delete_before_replace=True),
)
hcloud.FirewallAttachment("attached", firewall_id=firewall.id.apply(int), server_ids=[main.id.apply(int)])
hcloud.VolumeAttachment("attachment", volume_id=volume.id.apply(int), server_id=main.id.apply(int), automount=False)
plain = hcloud.Server(
    "plain", server_type="cx23", image="debian-13", location=location, ssh_keys=[key.name], labels=labels
)
hcloud.ServerNetwork(
    "plain-net", server_id=plain.id.apply(int), network_id=network_id, opts=pulumi.ResourceOptions(depends_on=[subnet])
)
private = hcloud.Server(
    "private",
    server_type="cx23",
    image="debian-13",
    location=location,
    public_nets=[{"ipv4_enabled": False, "ipv6_enabled": False}],
    networks=[{"network_id": network_id, "ip": "10.0.1.7"}],
    opts=pulumi.ResourceOptions(depends_on=[subnet]),
)

balancer = hcloud.LoadBalancer("lb", load_balancer_type="lb11", location=location, labels=labels)
balancer_id = balancer.id.apply(int)
balancer_net = hcloud.LoadBalancerNetwork("lb-net", load_balancer_id=balancer_id, subnet_id=subnet.id)
chain, chain_key = config.require("certificate"), config.require("certificate_key")
certificate = hcloud.UploadedCertificate("uploaded", certificate=chain, private_key=chain_key, labels=labels)
hcloud.Certificate(
    "old-name", certificate=chain, private_key=chain_key, labels=labels
)  # the same resource under its earlier name
zone = hcloud.Zone("zone", name="example.com", mode="primary", ttl=config.require_int("ttl"), labels=labels)
hcloud.ManagedCertificate(
    "managed", domain_names=["example.com", "*.example.com"], labels=labels,
    opts=pulumi.ResourceOptions(depends_on=[zone]),
)  # fmt: skip
hcloud.LoadBalancerService(
    "https", load_balancer_id=balancer.id, protocol="https", http={"certificates": [certificate.id.apply(int)]},
    health_check={
        "protocol": "http", "port": 80, "interval": 10, "timeout": 5, "retries": 3,
        "http": {"path": "/healthz", "status_codes": ["2??"]},
    },
)  # fmt: skip
hcloud.LoadBalancerService(
    "tcp", load_balancer_id=balancer.id, protocol="tcp", listen_port=5432,
    destination_port=config.require_int("volume_size") + 5400,
)  # fmt: skip
hcloud.LoadBalancerTarget(
    "by-server", type="server", load_balancer_id=balancer_id, server_id=main.id.apply(int), use_private_ip=True,
    opts=pulumi.ResourceOptions(depends_on=[balancer_net]),
)  # fmt: skip
hcloud.LoadBalancerTarget("by-label", type="label_selector", load_balancer_id=balancer_id, label_selector="app=demo")
hcloud.LoadBalancerTarget("by-ip", type="ip", load_balancer_id=balancer_id, ip="203.0.113.80")

floating = hcloud.FloatingIp("floating", type="ipv4", home_location=location, description="a way in", labels=labels)
hcloud.FloatingIpAssignment("floating-at", floating_ip_id=floating.id.apply(int), server_id=plain.id.apply(int))
hcloud.FloatingIp("floating6", type="ipv6", server_id=plain.id.apply(int), labels=labels)
hcloud.Snapshot("snapshot", server_id=plain.id.apply(int), description=config.require("environment"), labels=labels)

hcloud.ZoneRrset(
    "www", zone=zone.name, name="www", type="A", ttl=config.require_int("ttl"), labels=labels,
    records=[{"value": "203.0.113.1"}, {"value": "203.0.113.2", "comment": config.require("environment")}],
)  # fmt: skip
hcloud.ZoneRecord("record", zone=zone.name, name="single", type="TXT", value='"a b"', comment=config.require("size"))
hcloud.Zone(
    "secondary", name="example.org", mode="secondary",
    primary_nameservers=[{"address": "203.0.113.53"}, {"address": "2001:db8::53", "port": 5353}],
)  # fmt: skip

box = hcloud.StorageBox(
    "box", storage_box_type="bx11", location=location, password=config.require("password"), labels=labels,
    access_settings={"ssh_enabled": config.require("environment") == "prod"}, delete_protection=False,
    snapshot_plan={"max_snapshots": 3, "hour": 4, "minute": 5, "day_of_week": 1},
)  # fmt: skip
box_id = box.id.apply(int)
hcloud.StorageBoxSnapshot("box-snapshot", storage_box_id=box_id, description="before", labels=labels)
hcloud.StorageBoxSubaccount(
    "box-user", storage_box_id=box_id, home_directory="backups", password=config.require("password"),
    access_settings={"readonly": config.require("environment") == "prod"}, labels=labels,
)  # fmt: skip

pulumi.export("ipv4", main.ipv4_address)
pulumi.export("ipv6", main.ipv6_address)
pulumi.export("device", volume.linux_device)
