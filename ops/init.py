"""`make init STACK=`: the secrets that only this stack has, generated once, into Pulumi.STACK.yaml."""

from __future__ import annotations

from ops import stack_secrets
from ops.engine import LOCAL, Engine, OperatorError
from ops.show import say

RECOVERY_ROOT = """\
Keep these four things; together they are all that a rebuild needs, without them the data is lost:
  1. {config} (commit it: its secrets are encrypted)
  2. its passphrase ({passphrase})
  3. a token of the cloud account
  4. the bucket and its keys"""


def init(stack: str) -> None:
    """Generate API key, stack key and signing key of `stack` where missing; existing ones are never replaced."""
    if stack == LOCAL:
        raise OperatorError("`make up` generates the secrets of `local` itself; init is for the other stacks.")
    engine = Engine(stack)
    engine.require_config()
    engine.select()
    present = engine.secrets()
    missing = stack_secrets.missing(present)
    for name, value in missing.items():
        engine.set(name, value, secret=True)
        say(f"generated {name}")
    if not missing:
        say(f"stack {stack!r} has all its secrets already; nothing was changed")
    environment = engine.environment()
    passphrase = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_CONFIG_PASSPHRASE, or your secrets provider")
    print(RECOVERY_ROOT.format(config=engine.config_path.name, passphrase=passphrase))
