"""`make rebuild`: a stack from its config, passphrase, cloud token and bucket alone; no state of before is needed."""

from __future__ import annotations

import time

from infra.clouds import CloudError
from ops import data_record, recover, up
from ops.configured import configured
from ops.engine import OperatorError
from ops.show import say


def rebuild(stack: str) -> None:
    """Bring the stack up again from its backups. Refused where a machine or volume of it is still in the cloud (then
    `make up` is the right command), and where the bucket holds nothing to rebuild from: nothing is changed then."""
    started = time.time()
    settings = configured(stack)
    if settings is None:
        up.up(stack)  # the program refuses the config with every reason
        return
    if settings.backups.restore == "never":
        raise OperatorError("sekha:restore is never, and a rebuild restores: take it out of the config")
    try:
        cloud = recover.inventory_of(settings.cloud)
        left = [thing for thing in cloud.inventory(settings) if thing.data] if cloud else []
    except CloudError as error:
        raise OperatorError(str(error)) from error
    if left:
        names = ", ".join(f"{thing.title} ({thing.id})" for thing in left)
        raise OperatorError(
            f"stack {stack!r} still has its data in the cloud: {names}. `make up STACK={stack}` brings it up with "
            "them; delete them first if the backups shall take their place"
        )
    if not data_record.restorable(settings) and not settings.backups.restore_from:
        others = ", ".join(data_record.opened_by_other_keys(settings))
        hint = (
            f"{others} is there: it is opened by another stackKey, give the config that"
            if others
            else (f"what was deleted there may come back: make undelete-backups STACK={stack}")
        )
        raise OperatorError(
            f"bucket {settings.bucket.name} holds no backup of stack {stack!r} that its stackKey opens: nothing to "
            f"rebuild from ({hint})"
        )
    up.up(stack, configured=True)
    say(f"rebuilt in {time.time() - started:.1f} s")
