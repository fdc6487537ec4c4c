"""A stack's backups in its bucket, as the operator's side sees them: where they are, and whether there are any."""

from __future__ import annotations

import hmac

from infra.object_store import BACKUPS, Store

STANZA = "sekha"  # pgBackRest's name of the database; cloud-init/backup knows it too


def prefix(stack: str) -> str:
    """Where in the bucket everything of the stack's backups is."""
    return f"{BACKUPS}{stack}/"


def repository(stack: str, stack_key: str) -> str:
    """pgBackRest's repository: one for each stack key, because it can be read with that key alone."""
    name = hmac.digest(bytes.fromhex(stack_key), b"sekha-backup-name", "sha256").hex()
    return f"{prefix(stack)}postgres-{name[:8]}/"


def any_there(store: Store, stack: str, stack_key: str) -> bool:
    """Whether a backup was ever completed and its record is still there (pgBackRest writes one per backup)."""
    history = f"{repository(stack, stack_key)}backup/{STANZA}/backup.history/"
    return bool(store.s3.list_objects_v2(Bucket=store.bucket, Prefix=history, MaxKeys=1).get("Contents"))
