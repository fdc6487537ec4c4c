"""The API alone: 200 servers without machines, and requests per second next to a constant from the same HTTP server."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from bench.localcloud.world import Api, floor, without_machines
from bench.service.load import Figures, Request, install_wrk, replay, together
from ops.show import say, table

SERVERS = 200
CLIENTS = 8  # connections of the load, as many as a Pulumi run with parallelism keeps busy
ROUNDS, SECONDS = 3, 2.0  # of load and floor in turn


def body(name: str) -> dict[str, Any]:
    """The request of a small server."""
    return {"name": name, "server_type": "cx23", "image": "debian-13", "location": "fsn1", "labels": {"bench": "yes"}}


def wait_running(client: httpx.Client, count: int, limit: float) -> None:
    """Return once that many servers are running; SystemExit after `limit` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = client.get("/servers", params={"status": "running", "per_page": 1}).raise_for_status().json()
        if found["meta"]["pagination"]["total_entries"] >= count:
            return
        for action in client.get("/servers/actions", params={"status": "error"}).raise_for_status().json()["actions"]:
            raise SystemExit(f"{action['command']} failed: {action['error']['message']}")
        time.sleep(0.1)
    raise SystemExit(f"not {count} servers running within {limit:g} s")


def pages(client: httpx.Client) -> int:
    """List all servers, 50 a page; how many."""
    count, number = 0, 1
    while number:
        answer = client.get("/servers", params={"per_page": 50, "page": number}).raise_for_status().json()
        count += len(answer["servers"])
        number = answer["meta"]["pagination"]["next_page"] or 0
    return count


def create_all(api: Api, count: int, at_once: int) -> dict[str, float]:
    """Make servers, `at_once` requests at a time; seconds until all were answered, all were running, one listing."""
    with api.client() as client, ThreadPoolExecutor(at_once) as pool:
        began = time.monotonic()
        for answer in pool.map(lambda n: client.post("/servers", json=body(f"s-{n}")), range(count)):
            answer.raise_for_status()
        answered = time.monotonic() - began
        wait_running(client, count, 120)
        running = time.monotonic() - began
        began = time.monotonic()
        if pages(client) != count:
            raise SystemExit("the list of servers does not hold all of them")
        return {"answered": answered, "running": running, "listed": time.monotonic() - began}


def compare(api: Api, bare: str, name: str, make: Any, commit: bool) -> dict[str, Any]:
    """Requests per second of one kind of call and of its floor, in turn. `make`: round -> requests."""
    with api.client() as client:
        method, path, content = make(99)[0]
        size = len(client.request(method, path, json=content).raise_for_status().content)
    least: Request = ("POST" if commit else "GET", f"/{size}{'/commit' if commit else ''}", {} if commit else None)
    ours: list[Figures] = []
    floors: list[Figures] = []
    for number in range(ROUNDS):
        floors.append(replay(bare, [least], CLIENTS, SECONDS))
        requests = [(method, f"/v1{path}", content) for method, path, content in make(number)]
        ours.append(replay(api.url.removesuffix("/v1"), requests, CLIENTS, SECONDS, api.token))
    mine, constant = together(ours), together(floors)
    return {
        "call": name, "bytes": size, "rate": round(mine.rate), "floor": round(constant.rate),
        "ratio": round(constant.rate / mine.rate, 1), "p95_ms": round(mine.p95, 1), "errors": mine.errors,
    }  # fmt: skip


def measure() -> dict[str, Any]:
    """All of it."""
    install_wrk()
    with without_machines() as api, floor() as bare:
        say(f"{SERVERS} servers without machines, one request at a time, then requests per second")
        created = create_all(api, SERVERS, 1)
        with api.client() as client:
            one = client.get("/servers").json()["servers"][0]["id"]

        def posts(number: int) -> list[Request]:
            return [("POST", "/placement_groups", {"name": f"g-{number}-{n}", "type": "spread"}) for n in range(20000)]

        kinds = [
            ("GET /servers (25 of 200)", lambda _: [("GET", "/servers", None)], False),
            ("GET /servers?label_selector=", lambda _: [("GET", "/servers?label_selector=bench%3Dyes", None)], False),
            ("GET /servers?name=", lambda _: [("GET", "/servers?name=s-7", None)], False),
            ("GET /servers/ID", lambda _: [("GET", f"/servers/{one}", None)], False),
            ("GET /locations", lambda _: [("GET", "/locations", None)], False),
            ("POST /placement_groups", posts, True),
        ]
        calls = [compare(api, bare, *kind) for kind in kinds]
    return {"servers": SERVERS, "created": {name: round(value, 2) for name, value in created.items()}, "calls": calls}


def show(found: dict[str, Any]) -> None:
    """Print it."""
    made = found["created"]
    print(f"{found['servers']} servers without machines: all answered after {made['answered']} s, running after {made['running']} s, listed in {made['listed']} s\n")  # fmt: skip # noqa: E501
    rows = [tuple(call[key] for key in ("call", "bytes", "rate", "floor", "ratio", "p95_ms", "errors")) for call in found["calls"]]  # fmt: skip # noqa: E501
    print(table(["call", "bytes", "requests/s", "floor", "floor / it", "p95 ms", "errors"], rows))
