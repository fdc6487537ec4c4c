"""The bucket's memory of a stack's data, as the operator's commands read and write it (see infra/data_record.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from infra import backups, data_record, naming
from infra.object_store import BACKUPS, DESIRED, GENERATIONS, STATUS, Store, StoreConfig, client
from infra.reconcile import DataRecord
from infra.settings import Settings
from ops.engine import OperatorError

T = TypeVar("T")


def read(settings: Settings) -> DataRecord:
    """What is known of the stack's data; an empty record where there is no bucket yet."""

    def look(store: Store) -> DataRecord:
        raw = store.read_json(_key(settings))
        return DataRecord(
            volume=data_record.volume_of(raw.get("device", "")),
            ended=bool(raw.get("ended")),
            conversations=raw.get("conversations"),
            as_of=raw.get("as_of", ""),
            newest_backup=_newest_backup(store),
        )

    return with_store(settings, look, DataRecord())


def refuse_other_kind(settings: Settings) -> None:
    """Raises OperatorError when the stack's data are in another kind of database than the config says."""
    none: dict[str, Any] = {}
    record = with_store(settings, lambda store: store.read_json(_key(settings)), none)
    try:
        data_record.refuse_other_kind(record, settings.database)
    except data_record.LostDataError as error:
        raise OperatorError(str(error)) from None


def end(settings: Settings) -> None:
    """Note that the data were given up on purpose."""
    with_store(settings, lambda s: s.write_json(_key(settings), data_record.ended(s.read_json(_key(settings)))), None)


def versions(settings: Settings) -> list[tuple[str, str, str]]:
    """(key, version, entity tag) of each object version and delete marker under the stack's backups."""

    def look(store: Store) -> list[tuple[str, str, str]]:
        pages: Any = store.s3.get_paginator("list_object_versions")
        pages = pages.paginate(Bucket=store.bucket, Prefix=backups.prefix(settings.stack))
        rows = (row for page in pages for row in [*page.get("Versions", []), *page.get("DeleteMarkers", [])])
        return sorted((row["Key"], row["VersionId"], row.get("ETag", "deleted")) for row in rows)

    return with_store(settings, look, [])


def wipe(settings: Settings, keep: tuple[str, ...]) -> None:
    """Delete the stack's backups, record and desired state with all their versions: only a drill may do that.

    What lies under backups/STACK/ and one of `keep` stays.
    """

    def sweep(store: Store) -> None:
        prefix = backups.prefix(settings.stack)
        kept = tuple(prefix + name for name in keep)
        for start in (prefix, GENERATIONS, DESIRED, STATUS):
            pages: Any = store.s3.get_paginator("list_object_versions").paginate(Bucket=store.bucket, Prefix=start)
            # All pages first: a store may not find where to go on once the last of a page is deleted.
            rows = [row for page in pages for row in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]]
            for row in rows:
                if not row["Key"].startswith(kept):
                    store.s3.delete_object(Bucket=store.bucket, Key=row["Key"], VersionId=row["VersionId"])

    with_store(settings, sweep, None)


def opened_by_other_keys(settings: Settings) -> list[str]:
    """Repositories of the stack that another stackKey opens: their names."""

    def look(store: Store) -> list[str]:
        prefix = backups.prefix(settings.stack)
        own = {backups.repository(settings.stack, settings.secrets.stack_key),
               backups.stream(settings.stack, settings.secrets.stack_key)}  # fmt: skip
        found = store.s3.list_objects_v2(Bucket=store.bucket, Prefix=prefix, Delimiter="/").get("CommonPrefixes", [])
        names = sorted(row["Prefix"] for row in found)
        return [
            name for name in names if name not in own and name.startswith((prefix + "postgres-", prefix + "sqlite-"))
        ]

    return with_store(settings, look, [])


def restorable(settings: Settings) -> bool:
    """Whether the bucket holds backups of the stack."""
    key = settings.secrets.stack_key
    return with_store(settings, lambda store: backups.any_there(store, settings.stack, key, settings.database), False)


def note(settings: Settings, conversations: int, as_of: str) -> None:
    """Remember how many conversations the service held at `as_of` (ISO 8601)."""
    known = {"conversations": conversations, "as_of": as_of}
    with_store(settings, lambda s: s.write_json(_key(settings), {**s.read_json(_key(settings)), **known}), None)


def withdraw(settings: Settings) -> None:
    """Take back the release that names a volume which is gone: a new machine would wait for that volume first."""
    with_store(settings, lambda store: store.delete(DESIRED + _node(settings)), None)


def clear(settings: Settings) -> None:
    """After `destroy`: no desired state and no beacon stays for a later machine of the same name to find."""

    def sweep(store: Store) -> None:
        record = store.read_json(_key(settings))
        if record and not record.get("ended"):
            store.write_json(_key(settings), data_record.ended(record))
        for prefix in (DESIRED, STATUS):
            if store.read_json(prefix + _node(settings)):
                store.delete(prefix + _node(settings))

    with_store(settings, sweep, None)


def _node(settings: Settings) -> str:
    return naming.node(settings.stack, 1)


def _key(settings: Settings) -> str:
    return GENERATIONS + _node(settings)


def store_of(settings: Settings) -> Store:
    """The stack's bucket, with the operator's key."""
    bucket, secrets = settings.bucket, settings.secrets
    config = StoreConfig(
        bucket.endpoint.rstrip("/"), bucket.region, bucket.name, bucket.addressing, bucket.ca_file,
        secrets.bucket_access_key, secrets.bucket_secret_key,
    )  # fmt: skip
    return Store(client(config), bucket.name)


def with_store(settings: Settings, work: Callable[[Store], T], none: T) -> T:
    """`work` on the stack's bucket; `none` where there is no such bucket. Raises OperatorError."""
    from botocore.exceptions import BotoCoreError, ClientError

    bucket = settings.bucket
    try:
        return work(store_of(settings))
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchBucket", "404"):
            return none
        raise OperatorError(f"bucket {bucket.name} at {bucket.endpoint}: {error}") from error
    except BotoCoreError as error:
        raise OperatorError(f"bucket {bucket.name} at {bucket.endpoint}: {error}") from error


def _newest_backup(store: Store) -> str:
    """When the newest object under backups/ was written, "" where there is none."""
    pages: Any = store.s3.get_paginator("list_objects_v2").paginate(Bucket=store.bucket, Prefix=BACKUPS)
    times = [row["LastModified"] for page in pages for row in page.get("Contents", [])]
    return max(times).strftime("%Y-%m-%d %H:%M UTC") if times else ""
