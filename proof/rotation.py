"""`make proof-rotation`: each key of the running local stack is rotated by its own command; the seconds it costs.

ONLY=api rotates just that one. Where the seconds go is told by the release's stages, of which those of an unchanged
machine (`api`) pass while it serves.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from infra.object_store import StoreConfig
from infra.release_facts import refused_key
from ops.engine import LOCAL
from ops.local import engine_of
from ops.paths import REPO
from ops.show import json_line, say, table
from ops.up import ssh_command
from proof.entry import finish
from proof.machine import remote
from proof.operator_copy import outputs, server_ids
from proof.probe import Probe, ask

NODE = "sekha-local-1"
CONFIG = {"api": "apiKey", "signing": "signingKey", "stack": "stackKey", "bucket": "nodeSecretKey"}
Config = Mapping[str, str]


def old_api_key(before: Config, _after: Config) -> tuple[str, bool]:
    old = {**outputs(), "apiKey": before["sekha:apiKey"]}
    refused, accepted = (ask(given, "/api/v1/conversations")[0] for given in (old, outputs()))
    return f"old HTTP {refused}, new HTTP {accepted}", (refused, accepted) == (401, 200)


def old_signer(before: Config, after: Config) -> tuple[str, bool]:
    from infra import keys

    trusted = remote(ssh_command(LOCAL, dict(outputs())), "cat /etc/sekha-deploy/allowed_signers")
    old, new = (keys.public_key(config["sekha:signingKey"]) in trusted for config in (before, after))
    return f"trusts the old: {old}, the new: {new}", new and not old


def old_stack_key(before: Config, after: Config) -> tuple[str, bool]:
    held = json.loads(remote(ssh_command(LOCAL, dict(outputs())), "cat /etc/sekha-deploy/agent.json"))["stack_key"]
    old, new = held == before["sekha:stackKey"], held == after["sekha:stackKey"]
    return f"holds the old: {old}, the new: {new}", new and not old


def old_bucket_key(before: Config, after: Config) -> tuple[str, bool]:
    old, new = (
        refused_key(StoreConfig.from_config(lambda name, config=config: config.get(f"sekha:{name}")), NODE,  # type: ignore[misc]
                    config["sekha:nodeSecretKey"])
        for config in (before, after)
    )  # fmt: skip
    return f"old: {old or 'accepted'}, new: {new or 'accepted'}", bool(old) and not new


OLD: dict[str, Callable[[Config, Config], tuple[str, bool]]] = {
    "api": old_api_key, "signing": old_signer, "stack": old_stack_key, "bucket": old_bucket_key,
}  # fmt: skip
"""Key -> what became of the old one, and whether it is as it should be."""


def rotate(kind: str, conversation: str) -> tuple[dict[str, Any], list[tuple[object, ...]], bool]:
    """Rotate one key by `make rotate`, with a client asking for /health all the time."""
    before, servers = engine_of(LOCAL).secrets(), server_ids()
    env = {name: value for name, value in os.environ.items() if name not in ("JSON", "PYTHONPATH", "VIRTUAL_ENV")}
    with Probe(outputs(), conversation, paths=("/health",)) as probe:
        done = subprocess.run(
            ["make", "-s", "-C", str(REPO), "rotate", f"KEY={kind}"], env=env, text=True, capture_output=True,
            check=False, timeout=900, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    if done.returncode:
        print((done.stdout + done.stderr)[-6000:], file=sys.stderr)
    after, seen = engine_of(LOCAL).secrets(), probe.summary()
    name = f"sekha:{CONFIG[kind]}"
    shown = any(config[name].strip() in done.stdout + done.stderr for config in (before, after))
    fate, right = OLD[kind](before, after)
    data = ask(outputs(), f"/api/v1/conversations/{conversation}")[0] == 200
    kept = done.returncode == 0 and before[name] != after[name] and not shown and right and data
    server = "the same" if server_ids() == servers else "replaced"
    stages = {name: float(spent) for name, spent in outputs()["stages"].items() if float(spent) >= 0.5}
    spent = ", ".join(f"{name} {seconds:.0f}" for name, seconds in stages.items())
    row = (kind, server, seen["longest_silence_s"], spent, f"{seen['failed']} of {seen['requests']}", fate,
           "there" if data else "GONE", "yes" if kept else "NO")  # fmt: skip
    say(" ".join(map(str, row)))
    return {**seen, "server": server, "stages": stages}, [row], kept


def main() -> int:
    """0 when each rotation worked and the old key is worth nothing."""
    made = ask(outputs(), "/api/v1/conversations", body={"label": "kept", "messages": [
        {"role": "user", "content": "data stays when keys change"}]})[1]  # fmt: skip
    rows, figures, broken = list[tuple[object, ...]](), dict[str, Any](), list[str]()
    for kind in OLD:
        if os.environ.get("ONLY", kind) == kind:
            figures[kind], more, kept = rotate(kind, made["id"])
            rows += more
            broken += [] if kept else [kind]
    heads = ["key", "server", "seconds without an answer", "of them on the machine", "failed", "the old key", "data"]
    print(table([*heads, "as promised"], rows))
    json_line({"downtime": figures, "broken": broken})
    return 1 if broken else 0


if __name__ == "__main__":
    finish(main)
