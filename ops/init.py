"""`make init STACK=`: the secrets that only this stack has, generated once, into Pulumi.STACK.yaml."""

from __future__ import annotations

import sys
from getpass import getpass

from infra import cloud_access
from infra.config_reader import PROJECT
from ops import stack_secrets
from ops.engine import ON_LOCAL_CLOUD, Engine, OperatorError
from ops.show import say

RECOVERY_ROOT = """\
Keep these four things; together they are all that a rebuild needs, without them the data is lost:
  1. {config} (commit it: its secrets are encrypted)
  2. its passphrase ({passphrase})
  3. a token of the cloud account
  4. the bucket and its keys"""


def ask(names: list[str]) -> dict[str, str]:
    """What the operator types (unseen) for these keys of the object store; without a terminal they are only named."""
    if not sys.stdin.isatty():
        for name in names:
            say(f"{name} is missing: make a key at the object store, then run this at a terminal; it asks for it")
        return {}
    typed = {name: getpass(f"{name} (made at the object store; empty: later): ").strip() for name in names}
    return {name: value for name, value in typed.items() if value}


def init(stack: str) -> None:
    """Generate API key, stack key and signing key of `stack` where missing; ask for the object store's keys. Existing
    ones are never replaced."""
    if stack in ON_LOCAL_CLOUD:
        raise OperatorError("`make up` generates the secrets of `local` itself; init is for the other stacks.")
    engine = Engine(stack)
    engine.require_config()
    engine.select()
    present = engine.secrets()
    missing = stack_secrets.missing(present)
    wanted = cloud_access.of(present.get(f"{PROJECT}:cloud", "hetzner")).keys
    by_hand = [f"{PROJECT}:{name}" for name in wanted if not present.get(f"{PROJECT}:{name}")]
    for name, value in (missing | ask(by_hand)).items():
        engine.set(name, value, secret=True)
        say(f"{'generated' if name in missing else 'stored'} {name}")
    if not missing and not by_hand:
        say(f"stack {stack!r} has all its secrets already; nothing was changed")
    environment = engine.environment()
    passphrase = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_CONFIG_PASSPHRASE, or your secrets provider")
    print(RECOVERY_ROOT.format(config=engine.config_path.name, passphrase=passphrase))
