"""`make proof-signatures`: what the machine refuses to take up, and that `pulumi up` says so.

On the running local stack (make up). For each case the machine's agent is held, `up` publishes a release, what it
published is tampered with in the bucket as a thief of the bucket could, and the agent goes on. At the end the
project's own release serves again. ONLY="unknown signer" tries just that, and leaves out the way back.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from infra import keys, object_store, release_sign
from infra.object_store import DESIRED, FILES, Store, StoreConfig
from ops.engine import LOCAL, OperatorError
from ops.local import engine_of
from ops.show import json_line, say, table
from ops.up import ssh_command
from proof.entry import finish
from proof.machine import remote
from proof.operator_copy import Copy, Run, outputs, wait_for
from proof.probe import ask

NODE = "sekha-local-1"
ONLY = os.environ.get("ONLY", "")
Tamper = Callable[["Thief"], None]


class Thief:
    """Someone with the operator's key to the bucket; with `signing_key` also with that."""

    def __init__(self) -> None:
        config = engine_of(LOCAL).secrets()
        place = json.loads(config["sekha:bucket"])
        self.signing_key = config["sekha:signingKey"]
        given = StoreConfig.from_config(lambda name: config.get(f"sekha:{name}"))
        self.s3 = object_store.client(given)
        self.store = Store(self.s3, place["name"])
        self.before: dict[str, Any] = self.desired()

    def desired(self) -> dict[str, Any]:
        return self.store.read_json(DESIRED + NODE)

    def manifest(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self.desired()["manifest"])
        return made

    def publish(self, text: str, signature: str) -> None:
        self.store.write_json(DESIRED + NODE, {"manifest": text, "signature": signature})

    def signed(self, key: str = "", **changes: object) -> None:
        """The published manifest with `changes`, signed by the stack's key or another."""
        text = json.dumps({**self.manifest(), **changes}, sort_keys=True)
        self.publish(text, release_sign.sign(text, key or self.signing_key))


def tampered_manifest(thief: Thief) -> None:
    published = thief.desired()
    thief.publish(published["manifest"].replace('"format": 1', '"format":  1'), published["signature"])


def no_signature(thief: Thief) -> None:
    thief.publish(thief.desired()["manifest"], "")


def stranger(thief: Thief) -> None:
    thief.signed(keys.generate_signing_key())


def other_stack(thief: Thief) -> None:
    thief.signed(stack="other")


def other_node(thief: Thief) -> None:
    thief.signed(node="sekha-local-2")


def lower_generation(thief: Thief) -> None:
    thief.signed(generation=1)


def replayed(thief: Thief) -> None:
    """What was signed and published before, once more."""
    thief.publish(thief.before["manifest"], thief.before["signature"])


def malformed(thief: Thief) -> None:
    steps = thief.manifest()["steps"]
    thief.signed(steps=[{**steps[0], "units": "all of them"}])


def tampered_role(thief: Thief) -> None:
    """The content of a file that the machine has not fetched yet: the role that this release changes."""
    new = next(step["config"] for step in thief.manifest()["steps"] if step["role"] == "base")
    thief.s3.put_object(Bucket=thief.store.bucket, Key=FILES + new, Body=b"#cloud-config\nruncmd: [[rm, -rf, /]]\n")


def tampered_agent(thief: Thief) -> None:
    agent = thief.manifest()["agent"]["sha256"]
    thief.s3.put_object(Bucket=thief.store.bucket, Key=FILES + agent, Body=b"print('mine now')\n")


CASES: dict[str, tuple[Tamper, str]] = {
    "the one before, replayed": (replayed, "somebody else changed or removed desired/"),
    "tampered manifest": (tampered_manifest, "bad signature"),
    "no signature": (no_signature, "bad signature"),
    "unknown signer": (stranger, "bad signature"),
    "another stack's": (other_stack, "manifest is for stack 'other'"),
    "another node's": (other_node, "manifest is for node 'sekha-local-2'"),
    "signed but malformed": (malformed, "malformed manifest: steps[0].units"),
    "lower generation": (lower_generation, "is lower than"),  # after one that used a generation up, on a new stack too
    "tampered role file": (tampered_role, "other content"),
    "tampered agent": (tampered_agent, "other content"),
}
"""Case -> how the thief does it, and what `up` must say."""


def try_case(copy: Copy, ssh: str, tamper: Tamper, number: int) -> Run:
    """One `up` with the agent held until the bucket was tampered with. Returns what it said."""
    file = copy.folder / "cloud-init/base/files/etc/sysctl.d/99-sekha.conf"
    file.write_text(file.read_text() + f"# case {number}\n")  # so that there is something to release
    thief = Thief()
    remote(ssh, "systemctl stop sekha-agent; rm -f /run/sekha-deploy/agent-*.pyz")
    runs: list[Run] = []
    work = threading.Thread(target=lambda: runs.append(copy.up()))
    work.start()
    try:
        wait_for(lambda: not work.is_alive() or thief.desired() != thief.before, 300, "the release is published")
        if work.is_alive():
            tamper(thief)
    finally:
        remote(ssh, "systemctl start sekha-agent")
        work.join()
    if not runs:
        raise OperatorError("make up did not run to its end")
    return runs[0]


def main() -> int:
    """0 when all was refused, said, and the service went on."""
    given = outputs()
    ssh = ssh_command(LOCAL, dict(given))
    rows, broken = list[tuple[str, str, float, str]](), list[str]()
    version = ask(given, "/health")[1]["version"]
    with Copy() as copy:
        for number, (name, (tamper, expected)) in enumerate(CASES.items()):
            if ONLY not in ("", name):
                continue
            run = try_case(copy, ssh, tamper, number)
            said = next((line.strip() for line in run.said.splitlines() if expected in line), "")
            serves = ask(given, "/health")[1]["version"] == version
            kept = run.code != 0 and bool(said) and serves
            begin = said.find("failed at" if "failed at" in said else expected)
            rows.append((name, said[max(begin, 0) :][:110] or "NOT SAID", run.seconds, "yes" if kept else "NO"))
            say(f"{name}: {rows[-1][1]}")
            if not kept:
                broken.append(name)
                print(run.said[-4000:], file=sys.stderr)
    if not ONLY:
        with Copy() as own:
            if own.up().code != 0:
                broken.append("back to the project's own release")
    print(table(["release", "what pulumi up says", "seconds", "refused, said, old one serves"], rows))
    json_line({"said": {name: said for name, said, *_ in rows}, "broken": broken})
    return 1 if broken else 0


if __name__ == "__main__":
    finish(main)
