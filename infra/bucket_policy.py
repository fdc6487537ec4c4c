"""The bucket's policy: what the machines' key may do. Pure."""

from __future__ import annotations

from typing import Any

from infra.object_store import BACKUPS, DESIRED, FILES, GENERATIONS, OWNER, STATUS


def policy(bucket: str, principal: str, nodes: list[str]) -> dict[str, Any]:
    """An S3 bucket policy for the key of `nodes`: read files and desired state, write status and backups.

    What would harm is denied in words as well, because at some stores every key of a project may do all that no policy
    denies: deleting versions, by itself or by a lifecycle rule, and changing releases, policy or access lists.
    `principal` is what the store knows the key as (versitygw: the access key; AWS and Ceph: an ARN).
    """
    who = {"AWS": [principal]}
    base = f"arn:aws:s3:::{bucket}"
    desired = [f"{base}/{DESIRED}{node}" for node in nodes]
    readable = [f"{base}/{FILES}*", *desired, f"{base}/{BACKUPS}*"]
    writable = [*(f"{base}/{STATUS}{node}" for node in nodes), f"{base}/{BACKUPS}*"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            _rule("read", "Allow", who, ["s3:GetObject"], readable),
            _rule("write", "Allow", who, ["s3:PutObject", "s3:AbortMultipartUpload"], writable),
            _rule("expire", "Allow", who, ["s3:DeleteObject"], [f"{base}/{BACKUPS}*"]),
            _rule("list", "Allow", who, ["s3:ListBucket"], [base]),
            _rule(
                "keepversions", "Deny", who,
                ["s3:DeleteObjectVersion", "s3:PutObjectAcl", "s3:PutObjectRetention", "s3:PutObjectLegalHold",
                 "s3:BypassGovernanceRetention"],
                [f"{base}/*"],
            ),
            _rule(
                "keepreleases", "Deny", who, ["s3:PutObject", "s3:DeleteObject"],
                [f"{base}/{FILES}*", f"{base}/{DESIRED}*", f"{base}/{GENERATIONS}*", f"{base}/{OWNER}"],
            ),
            _rule(
                "keepbucket", "Deny", who,
                ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketVersioning", "s3:DeleteBucket",
                 "s3:PutLifecycleConfiguration", "s3:PutBucketAcl", "s3:PutBucketObjectLockConfiguration",
                 "s3:PutReplicationConfiguration"],
                [base],
            ),
        ],
    }  # fmt: skip


def _rule(sid: str, effect: str, who: dict[str, list[str]], actions: list[str], where: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": effect, "Principal": who, "Action": actions, "Resource": where}
