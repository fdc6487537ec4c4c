"""The stack's bucket as a dynamic resource, because no cloud API of Hetzner's makes one: create, versioning, policy."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pulumi
from pulumi.dynamic import ConfigureRequest, CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from infra import bucket_lifecycle, object_store
from infra.bucket_policy import policy
from infra.object_store import OWNER, StoreConfig

OWNER_TAG = "sekha-stack"
INPUTS = ("stack", "endpoint", "name", "nodes", "principal", "code")


class BucketError(Exception):
    """The object store refused; the message says what to do."""


class BucketProvider(ResourceProvider):
    """Makes and adopts the bucket. Holds no credentials when serialized: configure() brings them."""

    def configure(self, req: ConfigureRequest) -> None:
        self.store = StoreConfig.from_config(req.config.get)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        changed = [key for key in INPUTS if olds.get(key) != news.get(key)]
        replaces = [key for key in changed if key in ("endpoint", "name")]
        return DiffResult(changes=bool(changed), replaces=replaces)

    def create(self, props: dict[str, Any]) -> CreateResult:
        ensure(self.store, props["stack"], props["nodes"])
        return CreateResult(f"{props['endpoint']}/{props['name']}", {key: props[key] for key in INPUTS})

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        ensure(self.store, news["stack"], news["nodes"])
        return UpdateResult({key: news[key] for key in INPUTS})

    def delete(self, id_: str, _props: dict[str, Any]) -> None:
        print(f"bucket {id_} stays, with all backups in it; delete it by hand when you are sure", flush=True)


def ensure(store: StoreConfig, stack: str, nodes: list[str]) -> None:
    """Make the bucket what it should be: there, ours, versioned, old versions gone in time, with the nodes' policy.

    Raises BucketError.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    s3 = object_store.client(store)
    try:
        try:
            s3.head_bucket(Bucket=store.name)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            s3.create_bucket(Bucket=store.name)
        _claim(object_store.Store(s3, store.name), stack)
        s3.put_bucket_versioning(Bucket=store.name, VersioningConfiguration={"Status": "Enabled"})
        if told := bucket_lifecycle.ensure(s3, store.name):
            print(told, flush=True)
        principal = store.node_principal or store.node_access_key
        s3.put_bucket_policy(Bucket=store.name, Policy=json.dumps(policy(store.name, principal, nodes)))
    except (ClientError, BotoCoreError) as error:
        raise BucketError(
            f"bucket {store.name} at {store.endpoint}: {error}; check sekha:bucket, sekha:bucketAccessKey and "
            "sekha:bucketSecretKey (bucket names are shared by all customers of a store)"
        ) from error


def _claim(store: object_store.Store, stack: str) -> None:
    """Mark the bucket as the stack's, and refuse one that is another's."""
    owner = store.read_json(OWNER).get("stack")
    if owner not in (None, stack):
        raise BucketError(f"bucket {store.bucket} belongs to stack {owner!r}; set sekha:bucket.name to another")
    if owner is None:
        store.write_json(OWNER, {"stack": stack})


class Bucket(Resource, module="sekha", name="Bucket"):
    """The bucket of a stack; `nodes` are the machines whose key its policy names."""

    def __init__(self, stack: str, endpoint: str, name: str, principal: str, nodes: list[str], protect: bool) -> None:
        props = {
            "stack": stack, "endpoint": endpoint, "name": name, "nodes": nodes,
            "principal": hashlib.sha256(principal.encode()).hexdigest()[:16],
            "code": code_hash(),
        }  # fmt: skip
        super().__init__(BucketProvider(), "bucket", props, pulumi.ResourceOptions(protect=protect))


def code_hash() -> str:
    """Hash of what this provider does: a change in an imported module is no diff for Pulumi by itself."""
    from infra.release_bundle import hash_of_modules

    return hash_of_modules("bucket.py", "bucket_lifecycle.py", "bucket_policy.py", "object_store.py")
