"""AWS's SDK, as far as it is used.

Each of its parts (`aws.ec2`) reads all of its modules on first use, hundreds of them: 1.4 s for all that the
program needs. Here the parts get the modules named in USED only, 0.3 s; names and types are the SDK's own.
"""

from __future__ import annotations

import pulumi_aws as aws

from infra.clouds import slim

__all__ = ["aws"]

USED = {
    "cloudwatch": ("metric_alarm",),
    "ebs": ("volume",),
    "ec2": (
        "_inputs", "default_security_group", "eip", "instance", "internet_gateway", "route", "route_table",
        "route_table_association", "security_group", "subnet", "volume_attachment", "vpc", "vpc_endpoint",
    ),
    "iam": ("instance_profile", "role", "role_policy"),
    "route53": ("record",),
    "s3": (
        "_inputs", "bucket", "bucket_lifecycle_configuration", "bucket_ownership_controls", "bucket_policy",
        "bucket_public_access_block", "bucket_server_side_encryption_configuration", "bucket_versioning",
    ),
    "sns": ("topic", "topic_subscription"),
    "ssm": ("parameter",),
    "vpc": ("security_group_egress_rule", "security_group_ingress_rule"),
}  # fmt: skip


for _part, _modules in USED.items():
    slim.package(f"{aws.__name__}.{_part}", _modules)
