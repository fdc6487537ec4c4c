"""Plan -> Hetzner Cloud resources. No sizing, pricing or policy in here."""

from __future__ import annotations

import pulumi
import pulumi_hcloud as hcloud

from infra import naming
from infra.bootstrap import Stage0
from infra.catalog import Catalog
from infra.clouds import Machine, Placement, ssh_key_parts
from infra.clouds.hetzner_api import place
from infra.plan import DNS_TTL, NETWORK, NODE_ADDRESS, SUBNET, Plan

__all__ = ["HetznerStack", "build", "place"]


def build(plan: Plan, placement: Placement, catalog: Catalog, stage0: Stage0) -> Machine:
    """Register the resources of `plan` at `placement`; what `stage0` renders becomes a secret."""
    return HetznerStack(plan, placement, catalog, stage0).machine


class HetznerStack(pulumi.ComponentResource):
    """A single server with its data volume, address, private network and firewall."""

    machine: Machine

    def __init__(self, plan: Plan, placement: Placement, catalog: Catalog, stage0: Stage0) -> None:
        super().__init__("sekha:cloud:Hetzner", plan.stack)
        self.plan, self.location = plan, placement.choice.location
        ssh_keys = self._ssh_keys(placement)
        subnet = self._network(catalog.network_zones[self.location])
        firewall = self._firewall()
        address = self._address()
        group = hcloud.PlacementGroup(
            "spread", name=self._title("spread"), type="spread", labels=self._tags("placement-group", "spread"),
            opts=self._options(),
        )  # fmt: skip
        server = hcloud.Server(
            plan.node.name,
            name=plan.node.name,
            server_type=placement.choice.server_type,
            location=self.location,
            image=plan.image,
            ssh_keys=ssh_keys,
            user_data=pulumi.Output.secret(stage0.text()),  # the SDK does not mark it
            firewall_ids=[_number(firewall)],
            placement_group_id=_number(group),
            public_nets=[
                hcloud.ServerPublicNetArgs(ipv4_enabled=True, ipv4=_number(address), ipv6_enabled=False),
            ],
            shutdown_before_deletion=True,  # the database ends cleanly
            labels=self._tags("server", plan.node.name),
            # Its address is fixed, so a successor can only be made when it is gone.
            opts=self._options(delete_before_replace=True),
        )
        hcloud.ServerNetwork(
            "private", server_id=_number(server), subnet_id=subnet.id, ip=NODE_ADDRESS,
            opts=self._options(delete_before_replace=True),
        )  # fmt: skip
        volume = self._volume(server)
        self._names(address)
        self.machine = Machine(
            node=plan.node.name,
            address=address.ip_address,
            instance_id=server.id.apply(str),
            data_device=volume.linux_device,
            ready=(server, volume),
        )
        self.register_outputs({"address": address.ip_address, "server": server.id})

    def _title(self, part: str) -> str:
        return naming.resource(self.plan.stack, part)

    def _tags(self, kind: str, name: str) -> dict[str, str]:
        return naming.labels(self.plan.stack, kind, name)

    def _options(self, *, protect: bool = False, delete_before_replace: bool = False) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=protect, delete_before_replace=delete_before_replace)

    def _ssh_keys(self, placement: Placement) -> list[pulumi.Input[str]]:
        """Ids of the administrators' keys: made here, or found where the project has them already."""
        ids: list[pulumi.Input[str]] = []
        for part, blob, line in ssh_key_parts(self.plan):
            if blob in placement.known_ssh_keys:
                ids.append(str(placement.known_ssh_keys[blob]))
                continue
            key = hcloud.SshKey(
                part, name=self._title(part), public_key=line, labels=self._tags("ssh-key", part),
                opts=self._options(delete_before_replace=True),
            )  # fmt: skip
            ids.append(key.id)
        return ids

    def _network(self, zone: str) -> hcloud.NetworkSubnet:
        network = hcloud.Network(
            "network", name=self._title("network"), ip_range=NETWORK, labels=self._tags("network", "network"),
            opts=self._options(),
        )  # fmt: skip
        return hcloud.NetworkSubnet(
            "subnet", network_id=_number(network), type="cloud", ip_range=SUBNET, network_zone=zone,
            opts=self._options(delete_before_replace=True),
        )  # fmt: skip

    def _firewall(self) -> hcloud.Firewall:
        rules = [
            hcloud.FirewallRuleArgs(
                direction="in", protocol=rule.protocol, port=rule.port, source_ips=list(rule.sources),
                description=rule.description,
            )
            for rule in self.plan.firewall
        ]  # fmt: skip
        return hcloud.Firewall(
            "firewall", name=self._title("firewall"), rules=rules, labels=self._tags("firewall", "firewall"),
            opts=self._options(),
        )  # fmt: skip

    def _address(self) -> hcloud.PrimaryIp:
        protect = self.plan.protect
        return hcloud.PrimaryIp(
            "address", name=self._title("address"), type="ipv4", assignee_type="server", auto_delete=False,
            location=self.location, delete_protection=protect, labels=self._tags("primary-ip", "address"),
            opts=self._options(protect=protect),
        )  # fmt: skip

    def _names(self, address: hcloud.PrimaryIp) -> None:
        """The address's reverse name, and the domain's record in a zone that is at Hetzner."""
        if not self.plan.domain:
            return
        hcloud.Rdns(
            "reverse-name", primary_ip_id=_number(address), ip_address=address.ip_address, dns_ptr=self.plan.domain,
            opts=self._options(),
        )  # fmt: skip
        if self.plan.dns_zone:
            record = hcloud.ZoneRrsetRecordArgs(value=address.ip_address)
            hcloud.ZoneRrset(
                "record", zone=self.plan.dns_zone, name=naming.record(self.plan.domain, self.plan.dns_zone), type="A",
                ttl=DNS_TTL, records=[record], labels=self._tags("record", "address"), opts=self._options(),
            )  # fmt: skip

    def _volume(self, server: hcloud.Server) -> hcloud.Volume:
        """The data volume, attached by its own argument.

        With a VolumeAttachment, a replacement of the server would first pull the volume from under the running
        database; this way the server is shut down, and its successor gets it.
        """
        protect = self.plan.protect
        return hcloud.Volume(
            "data",
            name=self._title("data"),
            size=self.plan.volume_gb,
            format="ext4",
            server_id=_number(server),
            automount=False,
            delete_protection=protect,
            labels=self._tags("volume", "data"),
            opts=self._options(protect=protect),
        )


def _number(resource: pulumi.CustomResource) -> pulumi.Output[int]:
    """The resource's id as the number that other resources' arguments want."""
    return resource.id.apply(int)
