"""`localcloud status`: what runs."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

from localcloud import catalog
from localcloud.api_only import ApiOnlyBackend
from localcloud.commands.common import api_answers, api_url, need_root, project_token, without_machines
from localcloud.machines import cleanup, process, services
from localcloud.machines.paths import Paths
from localcloud.machines.real import RealBackend
from localcloud.store import Store


def status(paths: Paths) -> int:
    """Print what runs. Exit code 0 if the API answers, 3 if the local cloud is down."""
    need_root(paths)
    answers = (paths.run / "daemon.pid").exists() and api_answers(paths, project_token(paths))
    plain = without_machines(paths)
    servers = _without_machines(paths) if plain else _machines(paths)
    running = {} if plain else {name: bool(process.load(paths.run / f"{name}.pid")) for name in services.NAMES}
    print(f"API        {f'up at {api_url(paths)}' if answers else 'down'}{', without machines' if plain else ''}")
    for name, alive in running.items():
        print(f"{name:<10} {'running' if alive else 'stopped'}")
    print(f"\n{'ID':>8}  {'SERVER':<24} {'STATUS':<8} {'IPV4':<16} CORES  GB")
    for s in servers:
        print(
            f"{s['id']:>8}  {s['name']:<24} {s['status']:<8} {s['ipv4'] or '-':<16} {s['cores']:>5} {s['memory_gb']:>3}"
        )
    left = [] if plain else cleanup.leftovers(paths)
    if not answers and left:
        print("\nLeft on the host (`localcloud down` removes it):", *left, sep="\n  ")
    if os.environ.get("JSON") == "1":
        print(json.dumps({"api": answers, "services": running, "servers": servers, "on_host": left}))
    return 0 if answers else 3


def _machines(paths: Paths) -> list[dict[str, Any]]:
    backend = RealBackend(paths, Path("/nonexistent"))
    return [
        {"id": s.id, "name": s.name, "ipv4": s.ipv4, "status": "running" if backend.is_running(s.id) else "off",
         "cores": s.cores, "memory_gb": s.memory_gb} for s in backend.specs()
    ]  # fmt: skip


def _without_machines(paths: Paths) -> list[dict[str, Any]]:
    backend = ApiOnlyBackend(paths.cloud)
    sizes = {row["name"]: row for row in catalog.server_types()}
    with closing(Store(paths.database)) as store:
        servers = store.all(None, "server")
        addresses = {row["assignee_id"]: row["ip"] for row in store.all(None, "primary_ip") if row["type"] == "ipv4"}
    return [
        {"id": s["id"], "name": s["name"], "ipv4": addresses.get(s["id"]),
         "status": "running" if backend.is_running(s["id"]) else "off",
         "cores": sizes[s["server_type"]]["cores"], "memory_gb": sizes[s["server_type"]]["memory"]} for s in servers
    ]  # fmt: skip
