"""Plan -> DigitalOcean resources. No sizing, pricing or policy in here."""

from __future__ import annotations

import pulumi

from infra import naming
from infra.bootstrap import Stage0
from infra.catalog import Catalog
from infra.clouds import Machine, Placement, ssh_key_parts
from infra.clouds.digitalocean_api import place
from infra.clouds.digitalocean_sdk import do
from infra.clouds.digitalocean_store import NodeStore
from infra.clouds.digitalocean_watch import watch
from infra.plan import ANYWHERE, DNS_TTL, Plan

__all__ = ["DigitalOceanStack", "build", "place"]


def build(plan: Plan, placement: Placement, catalog: Catalog, stage0: Stage0) -> Machine:
    """Register the resources of `plan` at `placement`; what `stage0` renders becomes a secret."""
    return DigitalOceanStack(plan, placement, stage0).machine


def provider() -> do.Provider:
    """The provider with the stack's token (None: from the environment) and the operator's Spaces keys."""
    config, own = pulumi.Config(), pulumi.Config("digitalocean")
    return do.Provider(
        "digitalocean",
        token=own.get_secret("token"),
        spaces_access_id=config.require_secret("bucketAccessKey"),
        spaces_secret_key=config.require_secret("bucketSecretKey"),
    )


class DigitalOceanStack(pulumi.ComponentResource):
    """A single droplet with its data volume, address, private network, firewall, bucket and checks."""

    machine: Machine

    def __init__(self, plan: Plan, placement: Placement, stage0: Stage0) -> None:
        super().__init__("sekha:cloud:DigitalOcean", plan.stack, opts=pulumi.ResourceOptions(providers=[provider()]))
        self.plan, self.region = plan, placement.choice.location
        tag = do.Tag("tag", name=naming.tag(plan.stack), opts=self._options())
        vpc = do.Vpc(  # its range is DigitalOcean's choice: ranges of one account must not overlap
            "network", name=self._title("network"), region=self.region, opts=self._options()
        )
        firewall = self._firewall(tag)
        store = NodeStore(plan, self)
        volume = self._volume(tag)
        droplet = do.Droplet(
            plan.node.name,
            name=plan.node.name,
            region=self.region,
            size=placement.choice.server_type,
            image=plan.image,
            vpc_uuid=vpc.id,
            ssh_keys=self._ssh_keys(placement),
            user_data=store.node_keys.apply(stage0.text),  # a secret, as the keys are
            volume_ids=[volume.id],  # by its own argument: a successor is born with it
            tags=[tag.name],
            monitoring=False,  # the metrics agent reads the metadata service, which is root's alone here
            droplet_agent=False,
            graceful_shutdown=True,  # the database ends cleanly
            resize_disk=False,  # a grown disk could never be made smaller again
            # A volume is attached to one droplet at a time, so a successor can only be made when the other is gone.
            opts=self._options(delete_before_replace=True, depends_on=[firewall]),
        )
        # Assigned by its own argument: it moves to a successor without anything being deleted. Deleting an assignment
        # could not be repeated when making the successor failed: the stack would be stuck.
        address = do.ReservedIp(
            "address", region=self.region, droplet_id=droplet.id.apply(int), opts=self._options(protect=plan.protect)
        )
        self._record(address)
        watch(plan, droplet, address, self._options())
        do.Project(
            "project", name=self._title("project"), purpose="Service or API", description="Sekha, an AI memory service",
            resources=[droplet.droplet_urn, volume.volume_urn, address.reserved_ip_urn, store.bucket.bucket_urn],
            opts=self._options(),
        )  # fmt: skip
        self.machine = Machine(
            node=plan.node.name,
            address=address.ip_address,
            instance_id=droplet.id.apply(str),
            data_device=volume.name.apply(lambda name: f"/dev/disk/by-id/scsi-0DO_Volume_{name}"),
            ready=(droplet, address, store.bucket, store.key),
            own_bucket=True,
        )
        self.register_outputs({"address": address.ip_address, "server": droplet.id})

    def _title(self, part: str) -> str:
        return naming.resource(self.plan.stack, part)

    def _options(
        self,
        *,
        protect: bool = False,
        delete_before_replace: bool = False,
        depends_on: list[pulumi.Resource] | None = None,
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self, protect=protect, delete_before_replace=delete_before_replace, depends_on=depends_on
        )

    def _firewall(self, tag: do.Tag) -> do.Firewall:
        """By tag, not by droplet: a droplet is never without it, not even for its first seconds."""
        rules = [
            do.FirewallInboundRuleArgs(
                protocol=rule.protocol, port_range=rule.port, source_addresses=list(rule.sources)
            )
            for rule in self.plan.firewall
        ]  # fmt: skip
        out = [
            do.FirewallOutboundRuleArgs(protocol=name, port_range=ports, destination_addresses=list(ANYWHERE))
            for name, ports in (("tcp", "1-65535"), ("udp", "1-65535"), ("icmp", None))
        ]
        return do.Firewall(
            "firewall", name=self._title("firewall"), tags=[tag.name], inbound_rules=rules, outbound_rules=out,
            opts=self._options(),
        )  # fmt: skip

    def _volume(self, tag: do.Tag) -> do.Volume:
        return do.Volume(
            "data", name=self._title("data"), region=self.region, size=self.plan.volume_gb,
            initial_filesystem_type="ext4", initial_filesystem_label="sekha-data", tags=[tag.name],
            opts=self._options(protect=self.plan.protect),
        )  # fmt: skip

    def _ssh_keys(self, placement: Placement) -> list[pulumi.Input[str]]:
        """Ids of the administrators' keys: made here, or found where the account has them already."""
        ids: list[pulumi.Input[str]] = []
        for part, blob, line in ssh_key_parts(self.plan):
            if blob in placement.known_ssh_keys:
                ids.append(str(placement.known_ssh_keys[blob]))
            else:
                key = do.SshKey(part, name=self._title(part), public_key=line, opts=self._options())
                ids.append(key.id)
        return ids

    def _record(self, address: do.ReservedIp) -> None:
        if self.plan.dns_zone:
            do.DnsRecord(
                "record", domain=self.plan.dns_zone, type="A", ttl=DNS_TTL, value=address.ip_address,
                name=naming.record(self.plan.domain, self.plan.dns_zone), opts=self._options(),
            )  # fmt: skip
