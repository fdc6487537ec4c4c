"""A stack's backups in its bucket, as the operator's side sees them: where they are, and whether there are any."""

from __future__ import annotations

import hmac

from infra.object_store import BACKUPS, Store
from infra.restore_settings import POSTGRES, SQLITE

STANZA = "sekha"  # pgBackRest's name of the database; cloud-init/backup knows it too


def prefix(stack: str) -> str:
    """Where in the bucket everything of the stack's backups is."""
    return f"{BACKUPS}{stack}/"


def repository(stack: str, stack_key: str) -> str:
    """pgBackRest's repository: one for each stack key, because it can be read with that key alone."""
    name = hmac.digest(bytes.fromhex(stack_key), b"sekha-backup-name", "sha256").hex()
    return f"{prefix(stack)}postgres-{name[:8]}/"


def stream(stack: str, stack_key: str) -> str:
    """Where a SQLite stack's stream of changes (litestream's generations) and daily copies are."""
    name = hmac.digest(bytes.fromhex(stack_key), b"sekha-backup-name", "sha256").hex()
    return f"{prefix(stack)}sqlite-{name[:8]}/"


def any_there(store: Store, stack: str, stack_key: str, database: str = POSTGRES) -> bool:
    """Whether a backup was ever completed and its record is still there (pgBackRest writes one per backup)."""
    found = f"{repository(stack, stack_key)}backup/{STANZA}/backup.history/"
    if database == SQLITE:
        found = stream(stack, stack_key)
    return bool(store.s3.list_objects_v2(Bucket=store.bucket, Prefix=found, MaxKeys=1).get("Contents"))
