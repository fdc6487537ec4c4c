"""Signed receipts in the bucket: what a drill or a verification found, so that nobody need believe a log."""

from __future__ import annotations

import datetime
import hmac
import json
from typing import Any

from infra import backups, release_sign
from infra.settings import Settings
from ops.data_record import store_of
from ops.engine import OperatorError

NAMESPACE = "sekha-receipt"
MACHINE = b"sekha-backup-receipt"  # what the key of a machine's seal is derived for; cloud-init/backup knows it too


def keep(settings: Settings, kind: str, figures: dict[str, Any]) -> str:
    """Sign `figures` with the stack's signing key and store them; the object's key (JSON: text, signature)."""
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = json.dumps({"kind": kind, "stack": settings.stack, "at": at, **figures}, sort_keys=True)
    signature = release_sign.sign(text, settings.secrets.signing_key, NAMESPACE)
    key = f"{backups.prefix(settings.stack)}receipts/{kind}-{at}.json"
    store_of(settings).write_json(key, {"text": text, "signature": signature})
    return key


def unseal(stack: str, stack_key: str, content: dict[str, Any]) -> dict[str, Any]:
    """What a machine's receipt says ({"text", "mac"}, sealed with a key that is derived from the stack key).

    Raises OperatorError when it was changed, is another stack's, or was made with another key.
    """
    text = str(content.get("text", ""))
    key = hmac.digest(bytes.fromhex(stack_key), MACHINE, "sha256").hex()
    seal = hmac.digest(bytes.fromhex(key), text.encode(), "sha256").hex()
    if not hmac.compare_digest(seal, str(content.get("mac", ""))):
        raise OperatorError("the receipt in the bucket was changed, or made with another stack key")
    figures: dict[str, Any] = json.loads(text)
    if figures["stack"] != stack:
        raise OperatorError(f"the receipt in the bucket is one of stack {figures['stack']!r}")
    return figures


def of_machine(settings: Settings, kind: str) -> dict[str, Any]:
    """The newest receipt of a kind (verification or check) that the machine left; {} = none. Raises OperatorError."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        content = store_of(settings).read_json(f"{backups.prefix(settings.stack)}receipts/{kind}.json")
    except (ClientError, BotoCoreError, ValueError) as error:
        raise OperatorError(f"bucket {settings.bucket.name}: {error}") from error
    return unseal(settings.stack, settings.secrets.stack_key, content) if content else {}
