"""Old object versions go after 30 days: what pgBackRest expires, or a machine wipes, can be brought back so long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.object_store import BACKUPS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAYS = 30
RULE = "sekha-old-versions"
NONE_YET = "NoSuchLifecycleConfiguration"
NOT_SERVED = ("NotImplemented", "MethodNotAllowed")  # versitygw knows no lifecycle: nothing is deleted there


def rule() -> dict[str, Any]:
    """Our rule, in the words of S3's PutBucketLifecycleConfiguration."""
    return {
        "ID": RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": BACKUPS},
        "NoncurrentVersionExpiration": {"NoncurrentDays": DAYS},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }


def ensure(s3: S3Client, bucket: str) -> str:
    """Our rule beside whatever rules the bucket has; what to tell the operator, "" = nothing. Raises ClientError.

    Only the operator's key may do it: a machine's could delete all versions that way (bucket_policy.py denies it).
    """
    from botocore.exceptions import ClientError

    try:
        present: list[Any] = _rules(s3, bucket)
        wanted = [row for row in present if row.get("ID") != RULE] + [rule()]
        if wanted != present:
            s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": wanted})
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_SERVED or _status(error) == 501:
            return f"the store of bucket {bucket} has no lifecycle rules: old versions of backups stay for ever"
        if _status(error) == 403:
            return (
                f"the key may not set lifecycle rules on bucket {bucket} (s3:PutLifecycleConfiguration): old versions "
                "of backups stay for ever"
            )
        raise
    return ""


def _rules(s3: S3Client, bucket: str) -> list[Any]:
    from botocore.exceptions import ClientError

    try:
        return list(s3.get_bucket_lifecycle_configuration(Bucket=bucket).get("Rules", []))
    except ClientError as error:
        if error.response["Error"]["Code"] == NONE_YET or _status(error) == 404:
            return []
        raise


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
