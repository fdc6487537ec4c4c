"""The stack's bucket as the operator uses it: any S3-compatible store, by boto3. Keys and layout are in one place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra import bucket_place

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FILES = "releases/files/"
DESIRED = "desired/"
STATUS = "status/"
BACKUPS = "backups/"
OWNER = "owner.json"  # whose the bucket is
GENERATIONS = "generations/"  # the operator's own: outlives desired/, so that a generation is never used twice


@dataclass(frozen=True)
class StoreConfig:
    """Where the bucket is and the operator's keys ("": those of the cloud's own credential chain)."""

    endpoint: str
    region: str
    name: str
    addressing: str
    ca_file: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    node_access_key: str = ""
    node_principal: str = ""

    @staticmethod
    def from_config(get: Callable[[str], Any]) -> StoreConfig:
        """From a stack's raw config, as a dynamic provider's configure() is given it (`get` maps a key to its text)."""
        bucket = bucket_place.from_config(get)
        return StoreConfig(
            endpoint=bucket["endpoint"].rstrip("/"),
            region=bucket["region"],
            name=bucket["name"],
            addressing=bucket["addressing"],
            ca_file=bucket.get("caFile", ""),
            access_key=get("bucketAccessKey") or "",
            secret_key=get("bucketSecretKey") or "",
            node_access_key=get("nodeAccessKey") or "",
            node_principal=bucket.get("nodePrincipal", ""),
        )


def client(config: StoreConfig) -> S3Client:
    """A boto3 client of the store (boto3 is imported here, because it is slow to)."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=config.endpoint,
        region_name=config.region,
        aws_access_key_id=config.access_key or None,
        aws_secret_access_key=config.secret_key or None,
        verify=config.ca_file or None,
        config=Config(
            s3={"addressing_style": "path" if config.addressing == "path" else "virtual"},
            # Checksums beyond the protocol's own are not understood by every S3-compatible store.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"max_attempts": 5, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=16,
        ),
    )


class Store:
    """One stack's bucket, by what is done with it."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self.s3, self.bucket = s3, bucket

    def read_json(self, key: str) -> dict[str, Any]:
        """The JSON object at `key`, {} where there is none."""
        from botocore.exceptions import ClientError

        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return {}
            raise
        content: dict[str, Any] = json.loads(body)
        return content

    def write_json(self, key: str, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/json")

    def delete(self, key: str) -> None:
        """Delete `key`; in a versioned bucket its versions stay."""
        self.s3.delete_object(Bucket=self.bucket, Key=key)

    def files(self) -> dict[str, tuple[int, str]]:
        """SHA-256 -> size and ETag of every release file that is there."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=FILES)
        rows = [row for page in pages for row in page.get("Contents", [])]
        return {row["Key"].removeprefix(FILES): (row["Size"], row.get("ETag", "").strip('"')) for row in rows}

    def put_file(self, digest: str, body: bytes) -> None:
        """Store an immutable release file under its SHA-256."""
        self.s3.put_object(Bucket=self.bucket, Key=FILES + digest, Body=body)
