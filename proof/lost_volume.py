"""`make proof-lost-volume`: the server deleted behind Pulumi's back, then the volume with it, on a booted machine.

With `restore: never`, so that no backup helps: the server alone comes back with its data; with the volume lost `make
up` refuses and touches nothing, and goes on with an empty database when the loss is accepted. Works on the local stack,
which must be up; its data are given up.
"""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from hcloud import Client

from ops.engine import LOCAL
from ops.local import OVERRIDES, cloud_env, engine_of
from ops.show import json_line, say, table
from proof.entry import finish
from proof.operator_copy import Copy, outputs, wait_for

WORDS = "kept on the volume"
GONE_WITHIN = 60.0  # seconds for the cloud to delete what it was told to


def cloud() -> Client:
    """The cloud's API as the operator's own scripts would call it."""
    env = cloud_env()
    return Client(token=env["HCLOUD_TOKEN"], api_endpoint=env["HCLOUD_ENDPOINT"])


@contextmanager
def never_restoring() -> Iterator[None]:
    """The stack's config with `restore: never` meanwhile."""
    path = engine_of(LOCAL).config_path.with_name(OVERRIDES)
    before = path.read_text() if path.exists() else ""
    path.write_text(json.dumps({**json.loads(before or "{}"), "sekha:restore": "never"}))
    try:
        yield
    finally:
        path.write_text(before) if before else path.unlink()


def sekha() -> httpx.Client:
    """A client of the stack's URL with its API key."""
    found = outputs()
    trust = ssl.create_default_context(cafile=found.get("caFile") or None)
    headers = {"Authorization": f"Bearer {found['apiKey']}"}
    return httpx.Client(base_url=str(found["url"]), verify=trust, headers=headers, timeout=30)


def write() -> str:
    """One conversation; its id."""
    body = {"label": "proof", "folder": "/proof-lost", "messages": [{"role": "user", "content": WORDS}]}
    with sekha() as client:
        return str(client.post("/api/v1/conversations", json=body).raise_for_status().json()["id"])


def there(number: str) -> bool:
    """Whether the conversation is there with its words."""
    with sekha() as client:
        answer = client.get(f"/api/v1/conversations/{number}")
        return answer.is_success and [row["content"] for row in answer.json()["messages"]] == [WORDS]


def delete(*, volume: bool) -> None:
    """Delete the server, and the volume with it, by the cloud's API."""
    client = cloud()
    for server in client.servers.get_all():
        client.servers.delete(server).wait_until_finished()
    wait_for(lambda: not client.servers.get_all(), GONE_WITHIN, "the server is gone")
    for one in client.volumes.get_all() if volume else ():
        client.volumes.delete(one)


def main() -> int:
    """Run the proof; 1 when a promise is broken."""
    rows: list[tuple[str, str, float, bool]] = []

    def up(what: str, holds: Callable[[str, int], tuple[str, bool]], **env: str) -> None:
        run = copy.up(**env)
        found, kept = holds(run.said, run.code)
        rows.append((what, found, run.seconds, kept))
        say(f"{what}: {found}")
        if not kept:
            print(run.said[-5000:], file=sys.stderr)

    def with_data(said: str, code: int) -> tuple[str, bool]:
        kept = code == 0 and there(number)
        return ("up, with its data" if kept else f"exit code {code}: {said[-500:]}"), kept

    def refused(said: str, code: int) -> tuple[str, bool]:
        line = next((line for line in said.splitlines() if "data is gone from the cloud" in line), said[-500:])
        client = cloud()
        untouched = not client.servers.get_all() and not client.volumes.get_all()
        return line.removeprefix("sekha: "), code != 0 and "ACCEPT_DATA_LOSS" in line and untouched

    def empty(said: str, code: int) -> tuple[str, bool]:
        gone = code == 0 and not there(number)
        return ("up, with an empty database" if gone else f"exit code {code}: {said[-500:]}"), gone

    outputs()
    with Copy() as copy, never_restoring():
        number = write()
        up("nothing lost, restore: never", with_data)
        delete(volume=False)
        up("server lost, volume kept", with_data)
        delete(volume=True)
        up("server and volume lost", refused)
        up("the same, ACCEPT_DATA_LOSS", empty, ACCEPT_DATA_LOSS=LOCAL)
        number = write()
        up("nothing lost after that", with_data)
    print(table(["what happened", "make up", "s", "as promised"],
                [(what, found[:100], s, "yes" if kept else "NO") for what, found, s, kept in rows]))  # fmt: skip
    json_line({"steps": [{"step": what, "found": found, "seconds": round(seconds, 1), "as_promised": kept}
                         for what, found, seconds, kept in rows]})  # fmt: skip
    return 0 if all(kept for *_, kept in rows) else 1


if __name__ == "__main__":
    finish(main)
