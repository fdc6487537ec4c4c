"""The faults of machines, volumes, networks and the object store for `make proof-faults`, on the local stack.

Each is put on the running stack; `make up` runs while it holds, and again when it is cleared. A second machine in the
same project shows what a partition does, for the stack has one machine alone.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.clouds import hetzner_inventory
from infra.settings import Settings
from ops import recover
from ops.engine import LOCAL, OperatorError
from ops.local import engine_of
from ops.paths import REPO
from ops.show import say
from proof.cloud_rig import localcloud, rig
from proof.faults_api import Up, did, errors
from proof.probe import ask

LIMIT = 420  # s for one `make up`
UNDO = 90.0  # s for the stack to be healthy again once the fault is over


@dataclass(frozen=True)
class Case:
    """A fault on the stack's objects; `server` and `volume` in `words` stand for their names."""

    name: str
    words: tuple[str, ...]


CASES = [
    Case("object store: connections refused", ("object_store_refused",)),
    Case("object store: 503", ("object_store_unavailable",)),
    Case("object store: no answer", ("object_store_hang", "--seconds", "60")),
    Case("server crash", ("server_crash", "--resource", "server:SERVER")),
    Case("host loss", ("host_loss", "--resource", "server:SERVER")),
    Case("partition from another machine", ("partition", "--resource", "server:SERVER", "--peer", "server:PEER")),
    Case("volume loss", ("volume_loss", "--resource", "volume:VOLUME")),
]


def make_up() -> Up:
    """`make up` as the operator runs it."""
    began = time.monotonic()
    command = ["make", "-s", "-C", str(REPO), "up"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return Up(float(LIMIT), False, [f"STILL RUNNING after {LIMIT} s"], "nothing")
    text = done.stdout + done.stderr
    last = [line.strip() for line in done.stderr.splitlines() if line.startswith("sekha: ")]
    found = [*errors(text), *(last[-3:] if done.returncode else [])]
    return Up(time.monotonic() - began, done.returncode == 0, list(dict.fromkeys(found)), did(text))


def names(settings: Settings) -> dict[str, str]:
    """What the cases' words stand for: ids of the stack's server and volume."""
    found = {thing.type: str(thing.id) for thing in hetzner_inventory.listed(settings)}
    return {"SERVER": found[hetzner_inventory.SERVER], "VOLUME": found[hetzner_inventory.VOLUME]}


def health(outputs: dict[str, Any]) -> str:
    """What a client gets from the public URL."""
    try:
        status, _ = ask(outputs, "/health", timeout=5)
        return f"HTTP {status}"
    except OSError as error:
        return type(error).__name__


def healthy(outputs: dict[str, Any], seconds: float = UNDO) -> str:
    """As `health`, once it is 200 or the time is up."""
    end = time.monotonic() + seconds
    while (found := health(outputs)) != "HTTP 200" and time.monotonic() < end:
        time.sleep(1)
    return found


def one(case: Case, stand_for: dict[str, str], outputs: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A row of the table."""
    words = list(case.words)
    for name, number in stand_for.items():
        words = [word.replace(name, number) for word in words]
    localcloud("fault", "add", *words)
    try:
        during = health(outputs())
        first = make_up()
    finally:
        localcloud("fault", "clear")
    second = make_up()
    after = healthy(outputs())
    good = second.ok and after == "HTTP 200"
    return {
        "fault": case.name,
        "first": vars(first),
        "next": vars(second),
        "good": good,
        "client": during,
        "after": after,
    }


def rows() -> list[dict[str, Any]]:
    """Every case on the local stack, which is brought up first and stays up."""
    up = make_up()
    if not up.ok:
        raise OperatorError(f"make up: {up.said}")
    engine = engine_of(LOCAL)
    found = []
    with rig() as cloud:
        peer = cloud.server("peer")
        stand_for = {"PEER": str(peer.id)}
        wanted = os.environ.get("CASES", "").split(",")
        for case in [case for case in CASES if any(word in case.name for word in wanted)]:
            settings = recover.settings_of(engine)
            if settings is None:
                raise OperatorError("the config of the local stack can't be used")
            row = one(case, {**names(settings), **stand_for}, engine.outputs)
            found.append(row)
            say(f"{case.name}: {'up completes' if row['first']['ok'] else 'up fails'}; the next {row['next']['ok']}")
    return found
