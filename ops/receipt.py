"""Signed receipts in the bucket: what a drill or a verification found, so that nobody need believe a log."""

from __future__ import annotations

import datetime
import json
from typing import Any

from infra import backups, release_sign
from infra.object_store import Store, StoreConfig, client
from infra.settings import Settings

NAMESPACE = "sekha-receipt"


def store_of(settings: Settings) -> Store:
    """The stack's bucket with the operator's key."""
    bucket, secrets = settings.bucket, settings.secrets
    config = StoreConfig(
        bucket.endpoint.rstrip("/"), bucket.region, bucket.name, bucket.addressing, bucket.ca_file,
        secrets.bucket_access_key, secrets.bucket_secret_key,
    )  # fmt: skip
    return Store(client(config), bucket.name)


def keep(settings: Settings, kind: str, figures: dict[str, Any]) -> str:
    """Sign `figures` with the stack's signing key and store them; the object's key (JSON: text, signature)."""
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = json.dumps({"kind": kind, "stack": settings.stack, "at": at, **figures}, sort_keys=True)
    signature = release_sign.sign(text, settings.secrets.signing_key, NAMESPACE)
    key = f"{backups.prefix(settings.stack)}receipts/{kind}-{at}.json"
    store_of(settings).write_json(key, {"text": text, "signature": signature})
    return key
