"""Plan -> AWS resources. No sizing, pricing or policy in here."""

from __future__ import annotations

import pulumi

from infra import naming
from infra.bootstrap import Stage0
from infra.catalog import Catalog
from infra.clouds import Machine, Placement
from infra.clouds.aws_api import place
from infra.clouds.aws_identity import Identity
from infra.clouds.aws_names import Names
from infra.clouds.aws_network import Network
from infra.clouds.aws_sdk import aws
from infra.clouds.aws_store import Store
from infra.clouds.aws_watch import watch
from infra.plan import DNS_TTL, Plan

__all__ = ["AwsStack", "build", "place"]


def build(plan: Plan, placement: Placement, catalog: Catalog, stage0: Stage0) -> Machine:
    """Register the resources of `plan` at `placement`; what `stage0` renders becomes a secret."""
    return AwsStack(plan, placement, catalog, stage0).machine


def provider(stack: str, region: str, name: str = "aws") -> aws.Provider:
    """The provider for a region; everything it makes carries the stack's tag. Credentials are the operator's
    own, from the environment."""
    tags = aws.ProviderDefaultTagsArgs(tags={naming.STACK_LABEL: stack})
    return aws.Provider(name, region=region, default_tags=tags)


class AwsStack(pulumi.ComponentResource):
    """A single instance with its data volume, address, network, role and bucket."""

    machine: Machine

    def __init__(self, plan: Plan, placement: Placement, catalog: Catalog, stage0: Stage0) -> None:
        region = placement.choice.location
        own = provider(plan.stack, region)
        super().__init__("sekha:cloud:Aws", plan.stack, opts=pulumi.ResourceOptions(providers=[own]))
        self.plan, self.placement, self.names = plan, placement, Names(plan.stack, self)
        network = Network(plan, region, placement.zone, self.names)
        home = plan.bucket.region
        there = own if home == region else provider(plan.stack, home, "aws-bucket")
        store = Store(plan, self.names, placement.adopt_bucket, there)
        identity = Identity(plan, self.names)
        burstable = catalog.server_types[placement.choice.server_type].cpu == "burstable"
        server = self._server(network, identity, stage0, burstable)
        volume, attached = self._volume(server)
        address = self._address(server)
        watch(plan, region, server, self.names)
        if plan.dns_zone:
            aws.route53.Record(
                "record", zone_id=placement.dns_zone_id, name=plan.domain, type="A", ttl=DNS_TTL,
                records=[address.public_ip], opts=self.names.options(),
            )  # fmt: skip
        self.machine = Machine(
            node=plan.node.name,
            address=address.public_ip,
            instance_id=server.id.apply(str),
            data_device=volume.id.apply(device),
            ready=(server, attached, address, *store.settled),
            own_bucket=True,
            login=server.id.apply(lambda name: f"aws ssm start-session --region {region} --target {name}"),
        )
        self.register_outputs({"address": address.public_ip, "server": server.id})

    def _server(self, network: Network, identity: Identity, stage0: Stage0, burstable: bool) -> aws.ec2.Instance:
        plan, names = self.plan, self.names
        return aws.ec2.Instance(
            plan.node.name,
            ami=self.placement.image,
            instance_type=self.placement.choice.server_type,
            availability_zone=self.placement.zone,
            subnet_id=network.public.id,
            vpc_security_group_ids=[network.group.id],
            iam_instance_profile=identity.profile.name,
            user_data_base64=pulumi.Output.secret(stage0.text()),
            user_data_replace_on_change=True,
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1,
                instance_metadata_tags="disabled",
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                volume_type="gp3", volume_size=plan.root_gb, encrypted=True, delete_on_termination=True,
            ),
            # Bursts beyond the credits would cost more than the plan says.
            credit_specification=(
                aws.ec2.InstanceCreditSpecificationArgs(cpu_credits="standard") if burstable else None
            ),
            tags={"Name": plan.node.name},
            # Its volume is attached to one machine at a time: a successor can only be made when it is gone.
            opts=names.options(
                delete_before_replace=True, depends_on=[*identity.granted, network.internet]
            ),
        )  # fmt: skip

    def _volume(self, server: aws.ec2.Instance) -> tuple[aws.ebs.Volume, aws.ec2.VolumeAttachment]:
        plan, names = self.plan, self.names
        volume = aws.ebs.Volume(
            "data", availability_zone=self.placement.zone, size=plan.volume_gb, type="gp3", encrypted=True,
            tags=names.tags("data"), opts=names.options(protect=plan.protect),
        )  # fmt: skip
        attached = aws.ec2.VolumeAttachment(
            "data", volume_id=volume.id, instance_id=server.id, device_name="/dev/sdf",
            # It ends with the machine, which shuts down in order. Detaching it by itself would pull it from under the
            # running database, and can't be done again when making the successor failed: the stack would be stuck.
            skip_destroy=True,
            opts=names.options(),
        )  # fmt: skip
        return volume, attached

    def _address(self, server: aws.ec2.Instance) -> aws.ec2.Eip:
        """Given by its own argument, for the same reason: it moves to a successor without anything being deleted."""
        options = self.names.options(protect=self.plan.protect)
        return aws.ec2.Eip("address", domain="vpc", instance=server.id, tags=self.names.tags("address"), opts=options)


def device(volume_id: str) -> str:
    """The stable path of an EBS volume on an instance with NVMe (all types in the catalog)."""
    return f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"
