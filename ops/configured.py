"""The beginning of commands that act on a stack's bucket and cloud: the config made, its settings read."""

from __future__ import annotations

from infra.settings import Settings
from ops import local, recover, up
from ops.engine import ON_LOCAL_CLOUD


def configured(stack: str) -> Settings | None:
    """The stack's settings, its local cloud started and the config completed from that where it has one; None where
    the config can't be used. Raises OperatorError when there is no config or passphrase."""
    engine = local.engine_of(stack)
    if stack in ON_LOCAL_CLOUD:
        local.start_cloud()
    else:
        engine.require_config()
    up.configure(engine)
    return recover.settings_of(engine)
