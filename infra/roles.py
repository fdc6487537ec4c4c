"""cloud-init/ROLE/ -> the cloud-config documents that a release applies to a machine.

A role is a folder: `role.yaml` (a cloud-config, rendered with Jinja2), `files/` (what it puts on the machine, at its
path there; a name ending in .j2 is rendered), `files.yaml` (optional; path -> owner, permissions, early, and `when`: an
expression of variables, the file is left out where it is false) and `meta.yaml` (stage, packages, units, check,
variables). A role sees the variables that its meta.yaml declares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
import yaml

CLOUD_INIT = Path(__file__).resolve().parent.parent / "cloud-init"
ORDER = ("base", "backup", "postgres", "chroma", "sekha", "caddy")
SQLITE_ORDER = ("base", "backup", "sqlite", "chroma", "sekha", "caddy")
STAGES = ("packages", "restore", "database", "vectors", "service", "tls")
META_KEYS = {"stage", "packages", "units", "check", "variables"}
FILE_KEYS = {"owner", "permissions", "early", "when"}


class RoleError(ValueError):
    """A role's folder is wrong or a variable is missing; the message names file and variable."""


class _Dumper(yaml.SafeDumper):
    """YAML with multi-line strings as blocks, so that a rendered role reads like its sources."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


@dataclass(frozen=True)
class RenderedRole:
    """One role as a step of a release: `config` is the cloud-config; `users` (accounts) and `early` (files) must
    precede the packages, so `render_machine` puts them into the first step."""

    role: str
    stage: str
    config: str
    packages: tuple[str, ...]
    units: tuple[str, ...]
    check: str | None
    early: tuple[dict[str, str], ...] = ()
    users: tuple[dict[str, Any], ...] = ()


def render(role_dir: Path, variables: Mapping[str, object]) -> RenderedRole:
    """Render one role.

    `variables` must hold what the role's meta.yaml declares (more is fine, and not seen by it). The config holds no
    packages and accounts: see `render_machine`. Raises RoleError.
    """
    meta = _load(role_dir / "meta.yaml", META_KEYS)
    declared = set(meta.get("variables") or {})
    if missing := sorted(declared - set(variables)):
        raise RoleError(f"{role_dir.name}: variables missing: {', '.join(missing)}")
    if meta.get("stage") not in STAGES:
        raise RoleError(f"{role_dir / 'meta.yaml'}: stage {meta.get('stage')!r} is not one of {', '.join(STAGES)}")
    seen = {name: variables[name] for name in declared}
    source = role_dir / "role.yaml"
    document: dict[str, Any] = yaml.safe_load(_render(source, seen)) or {}
    files = _files(role_dir, seen)
    document["write_files"] = [*document.get("write_files", []), *(entry for entry, early in files if not early)]
    users = document.pop("users", [])
    if "packages" in document:
        raise RoleError(f"{source}: packages belong into meta.yaml")
    return RenderedRole(
        role=role_dir.name,
        stage=meta["stage"],
        config=_cloud_config(document),
        packages=tuple(meta.get("packages") or ()),
        units=tuple(meta.get("units") or ()),
        check=meta.get("check"),
        early=tuple(entry for entry, early in files if early),
        users=tuple(users),
    )


def render_machine(
    variables: Mapping[str, object], roles: Sequence[str] = ORDER, root: Path = CLOUD_INIT
) -> list[RenderedRole]:
    """All steps of a machine, in order: the first (stage packages) gets all roles' packages, as one apt transaction,
    and the accounts and files that must be there before them. Raises RoleError."""
    rendered = [render(root / name, variables) for name in roles]
    first = rendered[0]
    if first.stage != "packages" or any(role.stage == "packages" for role in rendered[1:]):
        raise RoleError(
            f"the first role, and only that, has the stage packages (got {[role.stage for role in rendered]})"
        )
    packages = list(dict.fromkeys(name for role in rendered for name in role.packages))
    document: dict[str, Any] = yaml.safe_load(first.config)
    document["write_files"] += [entry for role in rendered for entry in role.early]
    document |= {"users": [user for role in rendered for user in role.users]}
    document |= {"package_update": True, "packages": packages}
    return [replace(first, config=_cloud_config(document), packages=tuple(packages), early=(), users=()), *rendered[1:]]


def render_file(role: str, path: str, variables: Mapping[str, object]) -> str:
    """One template of a role's files/, e.g. etc/sekha/config.toml.j2, for use outside of a machine. Raises RoleError.

    Where it differs outside (addresses of the other parts), it takes a variable whose default is a machine's value.
    """
    return _render(CLOUD_INIT / role / "files" / path, variables)


def _files(role_dir: Path, variables: Mapping[str, object]) -> list[tuple[dict[str, str], bool]]:
    """The role's files as cloud-init write_files entries, each with whether it precedes the packages."""
    folder, listed = role_dir / "files", role_dir / "files.yaml"
    settings: dict[str, dict[str, Any]] = (
        (yaml.safe_load(listed.read_text(encoding="utf-8")) or {}) if listed.exists() else {}
    )
    entries = []
    for source in sorted(path for path in folder.rglob("*") if path.is_file()):
        path = "/" + source.relative_to(folder).as_posix().removesuffix(".j2")
        options = settings.pop(path, {})
        if unknown := sorted(set(options) - FILE_KEYS):
            raise RoleError(f"{listed}: {path}: unknown keys {', '.join(unknown)}")
        early = bool(options.pop("early", False))
        if not _holds(options.pop("when", "true"), variables, listed):
            continue
        mode = "0755" if source.stat().st_mode & 0o100 else "0644"
        content = _render(source, variables) if source.suffix == ".j2" else source.read_text(encoding="utf-8")
        entries.append(({"path": path, "content": content, "permissions": mode, **options}, early))
    if settings:
        raise RoleError(f"{listed}: no such file under files/: {', '.join(sorted(settings))}")
    return entries


def _holds(expression: str, variables: Mapping[str, object], where: Path) -> bool:
    """Whether a Jinja expression of the role's variables is true. Raises RoleError."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)  # noqa: S701
    try:
        return bool(environment.compile_expression(expression, undefined_to_none=False)(**variables))
    except jinja2.TemplateError as error:
        raise RoleError(f"{where}: when: {expression}: {error}") from error


def _load(path: Path, known: set[str]) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    if unknown := sorted(set(loaded) - known):
        raise RoleError(f"{path}: unknown keys {', '.join(unknown)}")
    return loaded


def _render(path: Path, variables: Mapping[str, object]) -> str:
    environment = jinja2.Environment(  # noqa: S701 - makes configuration files, not HTML
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    try:
        return environment.from_string(path.read_text(encoding="utf-8")).render(variables)
    except jinja2.TemplateError as error:
        raise RoleError(f"{path}: {error}") from error


def _cloud_config(document: Mapping[str, Any]) -> str:
    return "#cloud-config\n" + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
