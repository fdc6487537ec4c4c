"""`make status`: the local cloud and the stack at a glance, and what stands between cloud and state."""

from __future__ import annotations

import subprocess
import sys

from ops import recover, verification
from ops.engine import ON_LOCAL_CLOUD, OperatorError
from ops.local import engine_of
from ops.paths import REPO
from ops.show import json_line, table


def status(stack: str) -> None:
    """Print the local cloud's own status (for `local`) and the stack's public outputs."""
    if stack in ON_LOCAL_CLOUD:
        subprocess.run([sys.executable, "-m", "localcloud", "status"], cwd=REPO, check=False)
    engine = engine_of(stack)
    outputs: dict[str, object] = {}
    reason, lines = f"stack {stack!r} is not up", list[str]()
    try:
        outputs = engine.outputs()
        lines = recover.differences(engine)
    except OperatorError as error:  # no such stack, or it (or its cloud) can't be read: the engine's words say which
        reason = f"stack {stack!r}: {error}"
        lines = [reason] if outputs else []
    public = {name: value for name, value in sorted(outputs.items()) if name != "apiKey"}
    print(table(["output", "value"], list(public.items())) if public else reason)
    told = verification.lines(engine) if public else []
    print(*(lines or (["cloud and state agree"] if public else [])), *told, sep="\n")
    json_line({"stack": stack, "outputs": public, "differences": lines, "backups": told})
