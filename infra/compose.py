"""Container stack -> compose.yaml and the files beside it, for those who want only that. Pure but for `write`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from infra import images as image_files
from infra import naming
from infra.containers import RELEASE_LABEL, Container, Stack
from infra.images import Images

CONDITIONS = {"healthy": "service_healthy", "done": "service_completed_successfully"}
HEADER = """\
# Written by `make compose`; run it again rather than edit this. Start: docker compose up --detach --wait
# files/ holds secrets: keep it private. `docker compose run --rm verify` asks /health through Caddy.
"""


def render(stack: Stack, images: Images) -> dict[str, Any]:
    """The compose document: the same names, images, limits, checks and mounts as infra/clouds/docker.py registers."""
    return {
        "name": naming.resource(stack.name, "compose"),
        "services": {item.name: _service(stack, item, images) for item in stack.containers},
        "networks": {
            name: {"name": stack.title(name), "internal": dead_end, "labels": _tags(stack, "network", name)}
            for name, dead_end in stack.networks.items()
        },
        "volumes": {
            volume.name: {"name": stack.title(volume.name), "labels": _tags(stack, "volume", volume.name)}
            for volume in stack.volumes
        },
    }


def _tags(stack: Stack, kind: str, name: str) -> dict[str, str]:
    return naming.labels(stack.name, kind, name)


def _service(stack: Stack, item: Container, images: Images) -> dict[str, Any]:
    share = item.share
    service: dict[str, Any] = {
        "container_name": stack.title(item.name),
        "hostname": item.name,
        "image": item.image,
        "user": item.user,
        "read_only": item.read_only,
        "cap_drop": ["ALL"],
        "cap_add": list(item.capabilities),
        "security_opt": ["no-new-privileges:true"],
        "cpu_shares": share.weight,
        "deploy": {
            "resources": {
                "limits": {"cpus": f"{share.cpus:.1f}", "memory": f"{share.memory}M"},
                "reservations": {"cpus": f"{share.reserved_cpus:g}", "memory": f"{share.reserved_memory}M"},
            }
        },
        "volumes": [
            {"type": "volume", "source": mount.volume, "target": mount.path, "read_only": mount.read_only}
            for mount in item.mounts
        ],
        "restart": "no" if item.once else "unless-stopped",
        "stop_signal": item.stop_signal,
        "stop_grace_period": f"{item.stop_seconds}s",
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
        "labels": _tags(stack, "container", item.name) | {RELEASE_LABEL: stack.fingerprint(item)},
    }
    if item.name == "prepare":
        service["volumes"].append({"type": "bind", "source": "./files", "target": "/from", "read_only": True})
    part = next((part for part in images.built if getattr(images, part) == item.image), None)
    if part:
        service["build"] = {"context": "./images", "target": part, "args": {"BASE": images.base}}
    if item.networks:
        service["networks"] = {name: {} for name in item.networks}
    else:
        service["network_mode"] = "none"
    # Compose takes $ for a variable of its own; doubled it is itself.
    for key, value in (("entrypoint", item.entrypoint), ("command", item.command)):
        if value:
            service[key] = [word.replace("$", "$$") for word in value]
    if item.env:
        service["environment"] = dict(item.env)
    if item.tmpfs:
        service["tmpfs"] = [f"{path}:{options}" for path, options in item.tmpfs.items()]
    if item.ports:
        service["ports"] = [f"{port}:{port}" for port in item.ports]
    if item.after:
        service["depends_on"] = {name: {"condition": CONDITIONS[state]} for name, state in item.after.items()}
    if item.name == "verify":
        service["profiles"] = ["verify"]
    if check := item.health:
        service["healthcheck"] = {
            "test": [word.replace("$", "$$") for word in check.test],
            "interval": f"{check.interval}s",
            "timeout": f"{check.timeout}s",
            "retries": check.retries,
            "start_period": f"{check.start_period}s",
        }
    return service


def write(stack: Stack, images: Images, wheelhouse: Path, folder: Path) -> Path:
    """Write compose.yaml, files/ (0700, each file 0600) and images/ (the build's context) into `folder`; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "files"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(mode=0o700)
    for file in stack.files:
        target = files / file.volume / file.name
        target.parent.mkdir(exist_ok=True, mode=0o700)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(file.content)
    if images.built:
        image_files.context(wheelhouse, folder / "images")
    text = yaml.safe_dump(render(stack, images), sort_keys=False, width=1000, allow_unicode=True)
    (folder / "compose.yaml").write_text(HEADER + text)
    return folder
