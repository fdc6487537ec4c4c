"""Which images a Docker stack runs: pinned ones (images.yaml), the operator's own, two built from app/Dockerfile."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

REPO = Path(__file__).resolve().parent.parent
DOCKERFILE = REPO / "app" / "Dockerfile"
TARGETS = ("service", "chroma")  # stages of app/Dockerfile that become images


@dataclass(frozen=True)
class Images:
    """References by part. `built`: the parts to be built from app/Dockerfile on `base`."""

    service: str
    chroma: str
    postgres: str
    caddy: str
    base: str
    built: tuple[str, ...]


@cache
def pinned() -> Mapping[str, str]:
    """The pinned images: base, postgres and caddy, each with its digest."""
    content: dict[str, str] = yaml.safe_load(Path(__file__).with_name("images.yaml").read_text())
    return content


def choose(given: Mapping[str, str], wheelhouse: Path) -> Images:
    """The images for a stack: `given` ones (the setting `images`) win. Built ones are named by their content."""
    base = given.get("base") or pinned()["base"]
    built = tuple(part for part in TARGETS if not given.get(part))
    names = {part: f"sekha-{part}:{content_hash(wheelhouse, part, base)}" for part in TARGETS}
    names |= {part: pinned()[part] for part in ("postgres", "caddy")}
    names |= {part: name for part, name in given.items() if name and part != "base"}
    return Images(**names, base=base, built=built)


def content_hash(wheelhouse: Path, part: str, base: str) -> str:
    """12 hex digits that change with anything that gets into a built image: its lock names every wheel by hash."""
    digest = hashlib.sha256(base.encode())
    for file in (DOCKERFILE, wheelhouse / f"{part}.txt"):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def context(wheelhouse: Path, folder: Path) -> Path:
    """Make `folder` the context of a build: the wheelhouse's files (hard links where possible) and the Dockerfile."""
    (folder / "wheels").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DOCKERFILE, folder / "Dockerfile")
    wanted = {path.name: path for path in (wheelhouse / "wheels").glob("*.whl")}
    for stale in (folder / "wheels").iterdir():
        if stale.name not in wanted:
            stale.unlink()
    for name in ("service.txt", "chroma.txt"):
        shutil.copyfile(wheelhouse / name, folder / name)
    for name, source in wanted.items():
        target = folder / "wheels" / name
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    return folder
