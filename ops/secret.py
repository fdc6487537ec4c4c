"""`make secret STACK= NAME=`: one secret into the stack's config, encrypted; its value from the terminal or a pipe."""

from __future__ import annotations

import getpass
import os
import sys

from ops.engine import ON_LOCAL_CLOUD, Engine, OperatorError
from ops.show import say


def secret(stack: str) -> None:
    """Set the config secret that NAME names (`bucketAccessKey`, `hcloud:token`, ...). Raises OperatorError."""
    name = os.environ.get("NAME", "")
    if not name:
        raise OperatorError("NAME is missing, e.g.: make secret STACK=prod NAME=bucketAccessKey")
    if stack in ON_LOCAL_CLOUD:
        raise OperatorError("the secrets of `local` come from its local cloud with each `make up`.")
    engine = Engine(stack)
    engine.require_config()
    value = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read().rstrip("\n")
    if not value:
        raise OperatorError(f"no value for {name} came in; nothing was changed.")
    engine.select()
    engine.set(name if ":" in name else f"sekha:{name}", value, secret=True)
    say(f"{name} is set in {engine.config_path.name}, encrypted")
