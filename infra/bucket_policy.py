"""The bucket's policy: what the machines' key may do. Pure."""

from __future__ import annotations

from typing import Any

from infra.object_store import BACKUPS, DESIRED, FILES, STATUS


def policy(bucket: str, principal: str, nodes: list[str]) -> dict[str, Any]:
    """An S3 bucket policy for the key of `nodes`: read files and desired state, write status and backups.

    Everything else is denied in words, so that no other rule can give it: above all deleting versions and changing the
    policy. `principal` is what the store knows the key as (versitygw: the access key; AWS and Ceph: an ARN).
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
            _rule("keepversions", "Deny", who, ["s3:DeleteObjectVersion"], [f"{base}/*"]),
            _rule(
                "keepreleases", "Deny", who, ["s3:PutObject", "s3:DeleteObject"],
                [f"{base}/{FILES}*", f"{base}/{DESIRED}*"],
            ),
            _rule(
                "keepbucket", "Deny", who,
                ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketVersioning", "s3:DeleteBucket"], [base],
            ),
        ],
    }  # fmt: skip


def _rule(sid: str, effect: str, who: dict[str, list[str]], actions: list[str], where: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": effect, "Principal": who, "Action": actions, "Resource": where}
