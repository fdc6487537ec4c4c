"""The stack's Spaces bucket, and the one key of its machine."""

from __future__ import annotations

import pulumi

from infra import naming
from infra.bootstrap import NodeKeys
from infra.clouds.digitalocean_sdk import do
from infra.plan import KEEP_VERSIONS_DAYS, Plan


class NodeStore:
    """`bucket` (private, versioned, kept when the stack is destroyed), `key`, and its secret parts as `node_keys`.

    Spaces knows no policy that names a key: the key may read and write this one bucket, and nothing else.
    """

    def __init__(self, plan: Plan, parent: pulumi.Resource) -> None:
        self.bucket = do.SpacesBucket(
            "bucket",
            name=plan.bucket.name,
            region=plan.bucket.region,
            acl="private",
            versioning=do.SpacesBucketVersioningArgs(enabled=True),
            lifecycle_rules=[
                do.SpacesBucketLifecycleRuleArgs(
                    id="old-versions",
                    enabled=True,
                    abort_incomplete_multipart_upload_days=7,
                    noncurrent_version_expiration=do.SpacesBucketLifecycleRuleNoncurrentVersionExpirationArgs(
                        days=KEEP_VERSIONS_DAYS
                    ),
                )
            ],
            force_destroy=False,
            opts=pulumi.ResourceOptions(parent=parent, protect=plan.protect, retain_on_delete=True),
        )
        self.key = do.SpacesKey(
            "node-key",
            name=naming.resource(plan.stack, "node"),
            grants=[do.SpacesKeyGrantArgs(bucket=self.bucket.name, permission="readwrite")],
            opts=pulumi.ResourceOptions(parent=parent, additional_secret_outputs=["secretKey"]),
        )
        pair = pulumi.Output.all(self.key.access_key, self.key.secret_key)
        self.node_keys: pulumi.Output[NodeKeys] = pulumi.Output.secret(pair).apply(  # type: ignore[arg-type]
            lambda both: NodeKeys(*both)
        )
