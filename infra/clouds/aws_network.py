"""The stack's VPC: a public subnet for the server, a private one, security groups, and S3 without the internet."""

from __future__ import annotations

import ipaddress

from infra.clouds.aws_names import Names
from infra.clouds.aws_sdk import aws
from infra.plan import NETWORK, PRIVATE_SUBNET, SUBNET, Plan

NO_ADDRESS = "0.0.0.0/0"


class Network:
    """`public` and `private` subnets in one zone, the server's security `group`, and the route to the `internet`."""

    def __init__(self, plan: Plan, region: str, zone: str, names: Names) -> None:
        self.names = names
        self.vpc = aws.ec2.Vpc(
            "network", cidr_block=NETWORK, enable_dns_support=True, enable_dns_hostnames=True,
            tags=names.tags("network"), opts=names.options(),
        )  # fmt: skip
        gateway = aws.ec2.InternetGateway(
            "internet", vpc_id=self.vpc.id, tags=names.tags("internet"), opts=names.options()
        )
        self.public, public_routes = self._subnet("public", SUBNET, zone)
        self.private, private_routes = self._subnet("private", PRIVATE_SUBNET, zone)
        self.internet = aws.ec2.Route(
            "internet", route_table_id=public_routes.id, destination_cidr_block=NO_ADDRESS, gateway_id=gateway.id,
            opts=names.options(),
        )  # fmt: skip
        aws.ec2.VpcEndpoint(  # the bucket's traffic stays in AWS's network, and costs nothing
            "bucket", vpc_id=self.vpc.id, service_name=f"com.amazonaws.{region}.s3", vpc_endpoint_type="Gateway",
            route_table_ids=[public_routes.id, private_routes.id], tags=names.tags("bucket"), opts=names.options(),
        )  # fmt: skip
        aws.ec2.DefaultSecurityGroup(  # what is put into no group lets nothing in or out
            "default", vpc_id=self.vpc.id, tags=names.tags("default"), opts=names.options()
        )
        self.group = self._group(plan)

    def _subnet(self, part: str, cidr: str, zone: str) -> tuple[aws.ec2.Subnet, aws.ec2.RouteTable]:
        names = self.names
        subnet = aws.ec2.Subnet(
            part, vpc_id=self.vpc.id, cidr_block=cidr, availability_zone=zone, map_public_ip_on_launch=False,
            tags=names.tags(part), opts=names.options(),
        )  # fmt: skip
        routes = aws.ec2.RouteTable(part, vpc_id=self.vpc.id, tags=names.tags(part), opts=names.options())
        aws.ec2.RouteTableAssociation(part, subnet_id=subnet.id, route_table_id=routes.id, opts=names.options())
        return subnet, routes

    def _group(self, plan: Plan) -> aws.ec2.SecurityGroup:
        """The plan's rules, each source its own; the VPC has no IPv6, so those sources need none."""
        names = self.names
        group = aws.ec2.SecurityGroup(
            "server", name=names.title("server"), description="Sekha: what the plan lets in", vpc_id=self.vpc.id,
            tags=names.tags("server"), opts=names.options(),
        )  # fmt: skip
        for rule in plan.firewall:
            port = int(rule.port) if rule.port else -1  # ICMP: all types
            for source in rule.sources:
                network = ipaddress.ip_network(source)
                if network.version != 4:
                    continue
                where = "" if network.prefixlen == 0 else f"-{network.network_address}-{network.prefixlen}"
                aws.vpc.SecurityGroupIngressRule(
                    f"in-{rule.protocol}-{rule.port or 'all'}{where}", security_group_id=group.id,
                    ip_protocol=rule.protocol, from_port=port, to_port=port, cidr_ipv4=source,
                    description=rule.description, opts=names.options(),
                )  # fmt: skip
        aws.vpc.SecurityGroupEgressRule(
            "out", security_group_id=group.id, ip_protocol="-1", cidr_ipv4=NO_ADDRESS, description="all",
            opts=names.options(),
        )  # fmt: skip
        return group
