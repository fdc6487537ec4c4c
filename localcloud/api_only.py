"""The backend of `up --no-machines`: every call succeeds and boots nothing. Which servers run outlives the daemon."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from localcloud.backend import BackendError, Nic, Rule, ServerSpec
from localcloud.fake_backend import FakeBackend
from localcloud.machines.sh import read_json, write


class ApiOnlyBackend(FakeBackend):
    """State in FOLDER/running.json: the ids of the servers that are on."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = folder / "running.json"
        self._writing = threading.Lock()
        self.running = set(read_json(self._file) or [])

    def _call(self, name: str, *arguments: Any) -> None:
        """Nothing is remembered: the daemon runs for long."""

    def _known(self, server_id: int) -> None:
        """Servers of an earlier daemon are as good as those of this one."""

    def _save(self) -> None:
        with self._writing:
            write(self._file, json.dumps(sorted(self.running)))

    def create_server(self, spec: ServerSpec) -> None:
        return

    def start_server(self, spec: ServerSpec) -> None:
        self.running.add(spec.id)
        self._save()

    def stop_server(self, server_id: int, *, hard: bool) -> None:
        self.running.discard(server_id)
        self._save()

    def console(self, server_id: int, start: int) -> tuple[str, int]:
        text = "This local cloud has no machines (up --no-machines): there is no console.\n"
        return (text, len(text)) if start < 0 else ("", start)

    def journal(self, server_id: int, cursor: str) -> tuple[str, str]:
        raise BackendError("this local cloud has no machines (up --no-machines): there is no journal")

    def rebuild_server(self, spec: ServerSpec) -> None:
        self.stop_server(spec.id, hard=True)

    def delete_server(self, server_id: int) -> None:
        self.stop_server(server_id, hard=True)

    def update_server(self, spec: ServerSpec) -> None:
        return

    def create_image(self, image_id: int, server_id: int) -> None:
        return

    def attach_network(self, server_id: int, nic: Nic) -> None:
        return

    def resize_volume(self, volume_id: int, size_gb: int) -> None:
        return

    def set_firewall(self, server_id: int, rules: tuple[Rule, ...] | None) -> None:
        return

    def target_health(self, balancer_id: int) -> dict[tuple[str, int], str]:
        spec = self.balancers.get(balancer_id)
        if spec is None:
            return {}
        return {(ip, service["listen_port"]): "healthy" for ip in spec.targets for service in spec.services}
