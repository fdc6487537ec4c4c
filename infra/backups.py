"""A stack's backups in its bucket, as the operator's side sees them: where they are, and whether there are any."""

from __future__ import annotations

from infra.object_store import BACKUPS, Store

STANZA = "sekha"  # pgBackRest's name of the database; cloud-init/backup knows it too


def prefix(stack: str) -> str:
    """Where in the bucket everything of the stack's backups is."""
    return f"{BACKUPS}{stack}/"


def any_there(store: Store, stack: str) -> bool:
    """Whether a backup was ever completed and its record is still there (pgBackRest writes one per backup)."""
    history = f"{prefix(stack)}postgres/backup/{STANZA}/backup.history/"
    return bool(store.s3.list_objects_v2(Bucket=store.bucket, Prefix=history, MaxKeys=1).get("Contents"))
