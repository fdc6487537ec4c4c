"""Rendered roles + wheels -> the content of a release: files by SHA-256, and the manifest without its generation."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import release_agent, roles
from infra.plan import Variables

REPO = Path(__file__).resolve().parent.parent
ROLES = REPO / "cloud-init"
RELEASES = "/var/lib/sekha-deploy/releases"
UNNAMED = "0" * 12  # stands for the release's id while that id is computed


@dataclass(frozen=True)
class Bundle:
    """A release ready to be published: id, manifest (without generation), and where each of its files' bytes are."""

    release: str
    manifest: dict[str, Any]
    blobs: Mapping[str, Path | bytes]

    @property
    def contents(self) -> str:
        """The manifest as stable JSON text: equal text means an equal release."""
        return json.dumps(self.manifest, sort_keys=True)


def build(
    variables: Variables,
    wheelhouse: Path,
    names: Sequence[str] = roles.ORDER,
    root: Path = ROLES,
    sealed: bytes = b"",
    programs: Sequence[Path] = (),
) -> Bundle:
    """The release of one machine: its agent, its roles rendered with `variables`, the wheelhouse's files, what
    release_secrets.encrypt made (`sealed`; empty: no secrets), and `programs`, which come as bin/NAME.

    The id is the hash of everything in it, rendered with a placeholder where the id itself appears. Raises RoleError.
    """
    files, blobs = _files(wheelhouse, programs)
    agent, secrets = release_agent.build(root), None
    program = {"sha256": hashlib.sha256(agent).hexdigest(), "size": len(agent)}
    blobs[str(program["sha256"])] = agent
    if sealed:
        secrets = {"sha256": hashlib.sha256(sealed).hexdigest()}
        blobs[secrets["sha256"]] = sealed
    unnamed = roles.render_machine({**variables, "release_dir": f"{RELEASES}/{UNNAMED}"}, names, root)
    draft = json.dumps([program, secrets, files, [[_step(role), role.config] for role in unnamed]], sort_keys=True)
    release = hashlib.sha256(draft.encode()).hexdigest()[:12]
    steps = []
    for role in roles.render_machine({**variables, "release_dir": f"{RELEASES}/{release}"}, names, root):
        config = role.config.encode()
        digest = hashlib.sha256(config).hexdigest()
        blobs[digest] = config
        steps.append({**_step(role), "config": digest})
    manifest = {
        "format": 1, "stack": variables["stack"], "node": variables["node"], "release": release, "steps": steps,
        "files": files, "agent": program, "secrets": secrets,
    }  # fmt: skip
    return Bundle(release, manifest, blobs)


def _step(role: roles.RenderedRole) -> dict[str, Any]:
    return {"stage": role.stage, "role": role.role, "units": list(role.units), "check": role.check}


def _files(wheelhouse: Path, programs: Sequence[Path]) -> tuple[list[dict[str, Any]], dict[str, Path | bytes]]:
    rows, blobs = [], {}
    wheels = [wheelhouse / "chroma.txt", wheelhouse / "service.txt", *sorted(wheelhouse.glob("wheels/*.whl"))]
    named = [(path, str(path.relative_to(wheelhouse)), "0644") for path in wheels]
    for path, name, mode in [*named, *((path, f"bin/{path.name}", "0755") for path in programs)]:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        rows.append({"path": name, "sha256": digest, "size": size, "mode": mode})
        blobs[digest] = path
    return rows, dict(blobs)


def wheelhouse(cache: Path) -> Path:
    """The folder with a machine's wheels: SEKHA_WHEELHOUSE, else made by app/build-wheelhouse, once per content.

    Raises subprocess.CalledProcessError when they can't be built; the script says why on standard error.
    """
    if given := os.environ.get("SEKHA_WHEELHOUSE"):
        return Path(given)
    sources = [path for path in sorted((REPO / "app").rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    digest = hashlib.sha256()
    for path in [*sources, REPO / "tools" / "uv.txt"]:
        digest.update(f"{path.relative_to(REPO)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    folder = cache / "wheels" / f"release-{digest.hexdigest()[:16]}"
    if not (folder / ".complete").exists():
        subprocess.run([str(REPO / "app" / "build-wheelhouse"), str(folder)], check=True, stdout=subprocess.DEVNULL)
        (folder / ".complete").touch()
    return folder


def litestream() -> Path:
    """The program that a SQLite machine's release brings: SEKHA_LITESTREAM, else built from its Go module, once.

    Raises subprocess.CalledProcessError when it can't be built; tools/litestream_build.py says why on standard error.
    """
    if given := os.environ.get("SEKHA_LITESTREAM"):
        return Path(given)
    command = [sys.executable, "-m", "tools.litestream_build"]
    return Path(subprocess.run(command, check=True, cwd=REPO, stdout=subprocess.PIPE, text=True).stdout.strip())


def service_version(wheelhouse: Path) -> str:
    """The version of the service in `wheelhouse`, from the name of its wheel."""
    wheel = next(iter(sorted(wheelhouse.glob("wheels/sekha_service-*.whl"))), None)
    if wheel is None:
        raise FileNotFoundError(f"{wheelhouse}/wheels holds no sekha_service wheel; run app/build-wheelhouse again")
    return wheel.name.split("-")[1]


def hash_of_modules(*names: str) -> str:
    """Hash of modules of this package by file name, for the inputs of a dynamic resource."""
    folder = Path(__file__).parent
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in names)).hexdigest()[:16]
