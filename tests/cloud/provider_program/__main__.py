"""SSH key, network, subnet, route, firewall, primary IP, volume, placement group, servers and their attachments.

Config: `public_key`; `size` (server type), `environment` (a label), `user_data` vary between the steps of the test.
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
pulumi.export("ipv4", main.ipv4_address)
pulumi.export("ipv6", main.ipv6_address)
pulumi.export("device", volume.linux_device)
