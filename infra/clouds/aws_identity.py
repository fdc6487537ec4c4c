"""What the machine may do on AWS, by its role: its part of the bucket, its parameters, administrators' sessions."""

from __future__ import annotations

import json
from typing import Any

import pulumi

from infra import naming
from infra.bucket_policy import policy
from infra.clouds.aws_names import Names
from infra.clouds.aws_sdk import aws
from infra.plan import Plan

# What Session Manager's agent calls (Systems Manager user guide, "minimal permissions"): none of it names a resource.
SESSIONS = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)


class Identity:
    """The machine's `profile`, and `granted`: what has to be there for it to be of use."""

    def __init__(self, plan: Plan, names: Names) -> None:
        secret = pulumi.Config().require_secret("stackKey")
        parameter = aws.ssm.Parameter(
            "stack-key", name=f"{naming.parameters(plan.stack, plan.node.name)}stack-key", type="SecureString",
            value=secret, tags=names.tags("stack-key"), opts=names.options(),
        )  # fmt: skip
        role = aws.iam.Role(
            "node", name=names.title("node"), assume_role_policy=json.dumps(ASSUME), tags=names.tags("node"),
            opts=names.options(),
        )  # fmt: skip
        rights = aws.iam.RolePolicy(
            "node", name=names.title("node"), role=role.name, opts=names.options(),
            policy=parameter.arn.apply(lambda arn: json.dumps(rights_of(plan.bucket.name, plan.node.name, arn))),
        )  # fmt: skip
        self.profile = aws.iam.InstanceProfile(
            "node", name=names.title("node"), role=role.name, tags=names.tags("node"), opts=names.options()
        )
        self.granted: list[pulumi.Resource] = [parameter, rights]


ASSUME = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}},
    ],
}


def rights_of(bucket: str, node: str, parameter: str) -> dict[str, Any]:
    """The role's policy: on the bucket what a node's key has on every cloud, and its own parameter (an ARN)."""
    rows = policy(bucket, "", [node])["Statement"]
    own = [{key: value for key, value in row.items() if key != "Principal"} for row in rows]
    secret = {"Sid": "secrets", "Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": [parameter]}
    sessions = {"Sid": "sessions", "Effect": "Allow", "Action": list(SESSIONS), "Resource": ["*"]}
    return {"Version": "2012-10-17", "Statement": [*own, secret, sessions]}
