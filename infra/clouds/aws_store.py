"""The stack's S3 bucket: private, versioned, encrypted, over TLS only, kept when the stack is destroyed."""

from __future__ import annotations

import json

import pulumi

from infra.clouds.aws_names import Names
from infra.clouds.aws_sdk import aws
from infra.plan import KEEP_VERSIONS_DAYS, Plan


class Store:
    """`bucket`, and `settled`: what has to be there before it is used. With `adopt`, one that exists is taken over."""

    def __init__(self, plan: Plan, names: Names, adopt: bool, provider: aws.Provider) -> None:
        """`provider`: of the bucket's region, which need not be the machine's."""
        name = plan.bucket.name
        self.bucket = aws.s3.Bucket(
            "bucket",
            bucket=name,
            force_destroy=False,
            tags=names.tags("bucket"),
            opts=pulumi.ResourceOptions(
                parent=names.parent,
                provider=provider,
                protect=plan.protect,
                retain_on_delete=True,  # with all backups in it
                import_=name if adopt else None,
            ),
        )
        self.options = pulumi.ResourceOptions(parent=names.parent, provider=provider)
        shut = aws.s3.BucketPublicAccessBlock(
            "private", bucket=self.bucket.bucket, block_public_acls=True, block_public_policy=True,
            ignore_public_acls=True, restrict_public_buckets=True, opts=self.options,
        )  # fmt: skip
        aws.s3.BucketOwnershipControls(
            "owner", bucket=self.bucket.bucket, opts=self.options,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
        )  # fmt: skip
        aws.s3.BucketServerSideEncryptionConfiguration(
            "encrypted", bucket=self.bucket.bucket, opts=self.options,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="AES256"
                        )
                    )
                )
            ],
        )  # fmt: skip
        versions = aws.s3.BucketVersioning(
            "versions", bucket=self.bucket.bucket, opts=self.options,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
        )  # fmt: skip
        self._lifecycle(versions)
        policy = aws.s3.BucketPolicy(
            "tls", bucket=self.bucket.bucket, policy=json.dumps(tls_only(name)),
            opts=self._after(shut),  # S3 refuses two changes of access at once
        )  # fmt: skip
        self.settled: tuple[pulumi.Resource, ...] = (self.bucket, versions, policy)

    def _after(self, other: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self.options, pulumi.ResourceOptions(depends_on=[other]))

    def _lifecycle(self, versions: aws.s3.BucketVersioning) -> None:
        old = aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(noncurrent_days=KEEP_VERSIONS_DAYS)
        parts = aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(days_after_initiation=7)
        aws.s3.BucketLifecycleConfiguration(
            "lifecycle", bucket=self.bucket.bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="old-versions", status="Enabled", filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(),
                    noncurrent_version_expiration=old, abort_incomplete_multipart_upload=parts,
                )
            ],
            opts=self._after(versions),
        )  # fmt: skip


def tls_only(bucket: str) -> dict[str, object]:
    """The bucket policy that refuses requests in clear."""
    arn = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }  # fmt: skip
