"""The machine side's own record of every server (spec.json), from which it is rebuilt when the host was rebooted."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from localcloud.backend import BackendError, Nic, Rule, ServerSpec
from localcloud.machines import nics
from localcloud.machines.paths import Paths
from localcloud.machines.sh import read_json, write


def folders(paths: Paths) -> list[Path]:
    """The folders of all servers."""
    if not paths.servers.is_dir():
        return []
    return sorted(folder for folder in paths.servers.iterdir() if folder.name.isdigit())


def every(paths: Paths) -> list[ServerSpec]:
    """All servers."""
    found = [load(paths, int(folder.name)) for folder in folders(paths)]
    return [spec for spec in found if spec]


def save(paths: Paths, spec: ServerSpec) -> None:
    """Write the record (without the password) and what the metadata service serves."""
    folder = paths.server(spec.id)
    kept = dataclasses.asdict(dataclasses.replace(spec, root_password=None))
    write(folder / "spec.json", json.dumps(kept), 0o600)
    nics.save_metadata(folder, spec)


def load(paths: Paths, server_id: int) -> ServerSpec | None:
    """The record of a server; None if there is none."""
    data = read_json(paths.server(server_id) / "spec.json")
    return _spec(data) if isinstance(data, dict) else None


def must_load(paths: Paths, server_id: int) -> ServerSpec:
    """The record of a server. Raises BackendError if there is none."""
    spec = load(paths, server_id)
    if spec is None:
        raise BackendError(f"server {server_id} has no record in {paths.server(server_id)}")
    return spec


def save_rules(paths: Paths, server_id: int, rules: tuple[Rule, ...] | None) -> None:
    """Write down the server's firewall rules; None is no firewall."""
    data = None if rules is None else [dataclasses.asdict(rule) for rule in rules]
    write(paths.server(server_id) / "firewall.json", json.dumps(data))


def load_rules(paths: Paths, server_id: int) -> tuple[Rule, ...] | None:
    """The server's firewall rules as written down last."""
    stored = read_json(paths.server(server_id) / "firewall.json")
    return None if stored is None else tuple(_rule(item) for item in stored)


def _spec(data: dict[str, Any]) -> ServerSpec:
    lists = {"ssh_public_keys": tuple(data["ssh_public_keys"]), "volumes": tuple(data["volumes"])}
    return ServerSpec(**{**data, **lists, "nics": tuple(Nic(**nic) for nic in data["nics"])})


def _rule(data: dict[str, Any]) -> Rule:
    return Rule(**{**data, "source_ips": tuple(data["source_ips"]), "destination_ips": tuple(data["destination_ips"])})
