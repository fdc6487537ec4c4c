"""The `local` stack: a local cloud, and a private copy of Pulumi.local.yaml completed with what that cloud gave.

The tracked Pulumi.local.yaml is never edited: the copy lives in the cache folder, the engine gets it by --config-file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra import keys
from ops import comparison, stack_secrets
from ops.engine import LOCAL, ON_LOCAL_CLOUD, Engine, OperatorError
from ops.paths import REPO, write_private

OVERRIDES = "overrides.json"  # in the stack's folder: config values that win over the template's (the drill's region)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def start_cloud() -> dict[str, float]:
    """Start the local cloud unless it runs; return seconds by stage (`image`, `api`). Raises OperatorError."""
    result = subprocess.run(
        [sys.executable, "-m", "localcloud", "up"],
        cwd=REPO,
        env={**os.environ, "JSON": "1"},
        text=True,
        stdout=subprocess.PIPE,
        check=False,
    )
    if result.returncode != 0:
        raise OperatorError("the local cloud did not start; the lines above say why.")
    last = (result.stdout.strip().splitlines() or ["{}"])[-1]  # nothing is printed where it runs already
    return {str(name): float(seconds) for name, seconds in json.loads(last).get("seconds", {}).items()}


def cloud_env() -> dict[str, str]:
    """What the running local cloud hands out: HCLOUD_ENDPOINT, HCLOUD_TOKEN, S3_*."""
    result = subprocess.run(
        [sys.executable, "-m", "localcloud", "env", "--json"], cwd=REPO, text=True, stdout=subprocess.PIPE, check=False
    )
    if result.returncode != 0:
        raise OperatorError("the local cloud is not running: start it with `make up` (or `bin/localcloud up`).")
    env: dict[str, str] = json.loads(result.stdout)
    return env


def new_node_key() -> None:
    """Make the local cloud give the machines another key to the object store; the old one is refused from then on."""
    result = subprocess.run([sys.executable, "-m", "localcloud", "new-node-key"], cwd=REPO, check=False)
    if result.returncode != 0:
        raise OperatorError("the local cloud made no new key; the lines above say why.")


def ssh_key(folder: Path) -> str:
    """The public half of the stack's own SSH key, made on first use in `folder`/ssh_key (0600)."""
    path = folder / "ssh_key"
    if not path.exists():
        write_private(path, keys.generate_signing_key())
    return keys.public_key(path.read_text())


def plain_config(
    template: Mapping[str, Any], cloud: Mapping[str, str], public_key: str, stack: str = LOCAL
) -> dict[str, Any]:
    """The stack config without secrets: the tracked template, the cloud's addresses, the SSH key."""
    config = dict(template.get("config") or {})
    config["hcloud:endpoint"] = cloud["HCLOUD_ENDPOINT"]
    config["sekha:sshPublicKeys"] = [*config.get("sekha:sshPublicKeys", []), public_key]
    config["sekha:bucket"] = {
        "endpoint": cloud["S3_ENDPOINT"],
        "region": cloud["S3_REGION"],
        "name": f"sekha-{stack}",
        "addressing": "path",
        "caFile": cloud["S3_CA_FILE"],
    }
    return config


def secret_config(cloud: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """The secrets to set: the cloud's credentials where they changed, the stack's own keys where they are missing."""
    wanted = {
        "hcloud:token": cloud["HCLOUD_TOKEN"],
        "sekha:bucketAccessKey": cloud["S3_ACCESS_KEY"],
        "sekha:bucketSecretKey": cloud["S3_SECRET_KEY"],
        "sekha:nodeAccessKey": cloud["S3_NODE_ACCESS_KEY"],
        "sekha:nodeSecretKey": cloud["S3_NODE_SECRET_KEY"],
    }
    changed = {name: value for name, value in wanted.items() if present.get(name) != value}
    return changed | stack_secrets.missing(present)


def engine_of(stack: str) -> Engine:
    """The engine for a stack: `local` and comparisons use a private config copy (maybe not made yet), all others the
    tracked file."""
    if stack in ON_LOCAL_CLOUD or comparison.is_comparison(stack):
        return Engine(stack, config_file=comparison.config_copy(stack))
    return Engine(stack)


def configure(stack_engine: Engine, cloud: Mapping[str, str]) -> None:
    """Write the private config copy: plain values anew, secrets kept, changed or generated."""
    path = stack_engine.config_path
    template = yaml.safe_load((REPO / f"Pulumi.{LOCAL}.yaml").read_text()) or {}
    before = stack_engine.config()
    content: dict[str, Any] = {name: before[name] for name in ("secretsprovider", "encryptionsalt") if name in before}
    config_before: dict[str, Any] = before.get("config") or {}
    kept = {name: value for name, value in config_before.items() if isinstance(value, dict) and "secure" in value}
    overrides: dict[str, Any] = json.loads(text) if (text := _text(path.with_name(OVERRIDES))) else {}
    content["config"] = plain_config(template, cloud, ssh_key(path.parent), stack_engine.stack) | overrides | kept
    write_private(path, yaml.safe_dump(content, sort_keys=True))
    stack_engine.select()
    for name, value in secret_config(cloud, stack_engine.secrets()).items():
        stack_engine.set(name, value, secret=True)
