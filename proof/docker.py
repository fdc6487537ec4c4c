"""`make proof-docker`: the Docker stack on a Docker engine inside a machine of the local cloud, by the real engine.

A machine boots with Debian's Docker; images of Debian packages stand in for a registry's, which can't be reached; `up`
builds ours from app/Dockerfile over SSH and starts everything; a conversation goes in through Caddy and is found. Then:
`up` changes nothing, a container that the state lost stops nothing, no secret is where `docker inspect` or the state
shows it, only 80 and 443 are open, `destroy` leaves the protected data volume alone, compose.yaml starts the same on
it, and the conversation is still there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx

from infra import containers
from ops import compose, docker_leftovers, local, recover
from ops.engine import OperatorError
from ops.show import json_line, table
from ops.state_edit import without
from proof.docker_machine import STACK, Proof

WORDS = "the heron waits at the weir before dawn"


def run(proof: Proof) -> None:
    """Every step in order; each adds its row."""
    proof.timed("machine with Docker", proof.boot)
    proof.timed("images of Debian packages", proof.images)
    proof.forget()
    proof.configure()
    engine = proof.engine
    proof.timed("pulumi up", lambda: engine.up("--yes", "--skip-preview"))
    outputs = engine.outputs()
    with proof.service(outputs) as client:
        health = client.get("/health").json()
        proof.note("health through Caddy", str(health.get("status")), health.get("status") == "healthy")
        note = uuid.uuid4().hex
        body = {"label": note, "folder": "/proof", "messages": [{"role": "user", "content": WORDS}]}
        written = client.post("/api/v1/conversations", json=body)
        proof.note("a conversation written", str(written.status_code), written.is_success)
        identity = str(written.json().get("id"))
        read = client.get(f"/api/v1/conversations/{identity}")
        proof.note("and read", str(read.status_code), read.is_success and note in read.text)
        found = search(client, identity)
        proof.note("and found by meaning", f"after {found} s", found >= 0)
    try:
        proof.timed("pulumi up again", lambda: engine.up("--yes", "--skip-preview", "--expect-no-changes"))
        engine.run("preview", "--refresh", "--expect-no-changes")
        proof.note("up again", "no change", True)
    except OperatorError as error:
        proof.note("up again", str(error), False)
    lost(proof)
    secrets(proof)
    proof.timed("destroy", lambda: engine.run("destroy", "--yes", "--skip-preview", "--exclude-protected"))
    left = proof.leftovers()
    proof.note("destroy leaves", ", ".join(left), left == [f"volume sekha-{STACK}-postgres"])
    composed(proof, outputs, identity)


def search(client: httpx.Client, identity: str) -> float:
    """Seconds until the conversation is found by meaning; -1 after 60 s."""
    start = time.monotonic()
    while time.monotonic() - start < 60:
        answer = client.post(
            "/api/v1/query", json={"query": "bird standing by the river early in the morning", "limit": 5}
        )
        if answer.is_success and identity in answer.text:
            return round(time.monotonic() - start, 1)
        time.sleep(0.5)
    return -1


def lost(proof: Proof) -> None:
    """A container that the state does not know, as a killed `up` leaves it, does not stop the next one."""
    engine = proof.engine
    state = json.loads(engine.capture("stack", "export"))
    urn, identity = next((r["urn"], r["id"]) for r in recover.resources(state) if r["urn"].endswith("::verify"))
    engine.capture("stack", "import", stdin=json.dumps(without(state, {(urn, identity)})))
    docker_leftovers.clear(engine)
    proof.timed("pulumi up after a killed one", lambda: engine.up("--yes", "--skip-preview"))
    state = json.loads(engine.capture("stack", "export"))
    anew = [r["id"] for r in recover.resources(state) if r["urn"] == urn]
    there = proof.remote("docker ps -a --no-trunc --format '{{.ID}}'").split()
    found = "removed, made anew" if identity not in there and anew and anew[0] in there else "still there"
    proof.note("a container that a killed up left", found, found == "removed, made anew")


def secrets(proof: Proof) -> None:
    """No secret is where a look at the engine or at the state shows it; limits and ports are as told."""
    clear = proof.engine.secrets()
    secret = {"api key": clear["sekha:apiKey"], "stack key": clear["sekha:stackKey"]}
    secret["database password"] = containers.password(clear["sekha:stackKey"])
    text = proof.remote(
        "docker inspect $(docker ps -aq); docker ps -a --no-trunc; "
        "docker history --no-trunc $(docker images -q sekha-service | head -1)"
    )
    inside = [name for name, value in secret.items() if value in text]
    proof.note("secrets in docker inspect", ", ".join(inside) or "none", not inside)
    state = proof.engine.capture("stack", "export")
    inside = [name for name, value in secret.items() if value in state]
    proof.note("secrets in plain state", ", ".join(inside) or "none", not inside)
    rows = json.loads(proof.remote("docker inspect $(docker ps -aq)"))
    named = {row["Config"]["Hostname"]: row for row in rows}
    ports = sorted({port for row in rows for port in row["HostConfig"]["PortBindings"] or {}})
    proof.note("published ports", ", ".join(ports), ports == ["443/tcp", "80/tcp"])
    sekha = named["sekha"]["HostConfig"]
    most, kept = sekha["Memory"] >> 20, sekha["MemoryReservation"] >> 20
    limits = f"{sekha['NanoCpus'] / 1e9:g} CPUs, {most} MiB, reserved {kept} MiB"
    proof.note("the guide's limits", limits, limits == "2 CPUs, 4096 MiB, reserved 2048 MiB")
    roots = [
        name for name, row in named.items() if row["Config"]["User"] in ("", "0", "0:0") and row["State"]["Running"]
    ]
    proof.note("containers running as root", ", ".join(roots) or "none", not roots)
    modes = proof.remote("stat -c '%a %u' /var/lib/docker/volumes/*-files/_data/*").split("\n")
    proof.note(
        "files' modes and owners",
        ", ".join(sorted(set(filter(None, modes)))),
        all(m.startswith("600 ") for m in modes if m),
    )


def composed(proof: Proof, outputs: dict[str, Any], identity: str) -> None:
    """The same from compose.yaml, on the volume that destroy left."""
    folder = proof.folder / "compose"
    os.environ["OUT"] = str(folder)
    compose.write_for(proof.engine)
    packed = subprocess.run(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    proof.remote("mkdir -p /root/compose && tar -C /root/compose --no-same-owner -x", stdin=packed)
    proof.remote("cd /root/compose && docker compose config --quiet")
    proof.note("docker compose config", "valid", True)
    proof.timed("docker compose up", lambda: proof.remote("cd /root/compose && docker compose up --detach --wait 2>&1"))
    pem = proof.remote("docker exec sekha-proof-docker-caddy cat /srv/sekha/caddy/pki/authorities/local/root.crt")
    Path(outputs["caFile"]).write_text(pem)
    with proof.service(outputs) as client:
        read = client.get(f"/api/v1/conversations/{identity}")
        proof.note("compose: the conversation is still there", str(read.status_code), read.is_success)
    proof.remote("cd /root/compose && docker compose down")


def main() -> int:
    """Run the proof and show what it found; 1 when a promise is broken."""
    if os.environ.get("KEEP_CLOUD") != "1":
        local.start_cloud()
    proof = Proof()
    try:
        run(proof)
    except OperatorError as error:
        proof.note("the proof runs to its end", str(error), False)
    finally:
        if proof.address and os.environ.get("KEEP") != "1":
            proof.forget()
            proof.remove(proof.client)
    print(table(["step", "seconds"], list(proof.seconds.items())))
    print(
        table(
            ["promise", "found", "kept"], [(name, value, "yes" if kept else "NO") for name, value, kept in proof.rows]
        )
    )
    figures = {"seconds": proof.seconds, "found": {name: value for name, value, _ in proof.rows}}
    json_line(figures | {"broken": [name for name, _, kept in proof.rows if not kept]})
    return 0 if all(kept for _, _, kept in proof.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
