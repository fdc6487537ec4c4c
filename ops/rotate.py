"""`make rotate STACK= KEY=api|signing|stack|bucket`: a new key into the stack's config, then `up`, which brings it to
the machine. docs/rotation.md says what each costs."""

from __future__ import annotations

import os
from collections.abc import Callable

from infra import keys
from ops import local, up
from ops.engine import LOCAL, OperatorError
from ops.init import ask
from ops.show import say

NODE_KEY = ["sekha:nodeAccessKey", "sekha:nodeSecretKey"]
GENERATED: dict[str, tuple[str, Callable[[], str]]] = {
    "api": ("sekha:apiKey", keys.generate_api_key),
    "signing": ("sekha:signingKey", keys.generate_signing_key),
    "stack": ("sekha:stackKey", keys.generate_stack_key),
}
"""Kinds of keys that are made here: config key and how."""

COSTS = {
    "api": "clients with the old key are refused from then on; the service restarts, and requests wait meanwhile",
    "signing": "the server is replaced; address and data stay",
    "stack": "the server is replaced; address and data stay. Backups made so far need the old key",
    "bucket": "the server is replaced; address and data stay",
}


def rotate(stack: str) -> None:
    """Make (or ask for) the key that KEY names, store it, and run `up`. Raises OperatorError."""
    kind = os.environ.get("KEY", "")
    if kind not in COSTS:
        raise OperatorError(f"KEY={kind}: say which: {', '.join(COSTS)}, e.g.: make rotate STACK={stack} KEY=api")
    engine = up.prepared(local.engine_of(stack))
    say(f"rotating the {kind} key of stack {stack!r}: {COSTS[kind]}")
    if kind != "bucket":
        name, make = GENERATED[kind]
        engine.set(name, make(), secret=True)
    elif stack == LOCAL:
        local.new_node_key()
    else:
        given = ask(NODE_KEY)
        if set(given) != set(NODE_KEY):
            raise OperatorError(
                "make a second key for the machines at the object store, then run this at a terminal, which asks for "
                "both its parts; nothing was changed."
            )
        for name, value in given.items():
            engine.set(name, value, secret=True)
    up.up(stack)
    if kind == "bucket" and stack != LOCAL:
        say("now delete the old key at the object store")
