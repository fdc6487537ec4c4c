"""The object store: versitygw over TLS in the router namespace, with two users: operator (root) and node (no rights).

The node's rights come from bucket policies alone. Keys are made once and kept in secrets.json (0600); versitygw gets
the root user's through its environment, which only root can read, and the node's from its user file.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from pathlib import Path

from localcloud.backend import BackendError
from localcloud.machines import addresses as a
from localcloud.machines import netns, process
from localcloud.machines.paths import Paths
from localcloud.machines.sh import read_json, write

REGION = "us-east-1"
ENDPOINT = f"https://{a.OBJECTS_IP}:{a.OBJECTS_PORT}"
TOOLCHAIN = Path(__file__).parent.parent / "tools" / "toolchain"


def keys(paths: Paths) -> dict[str, str]:
    """S3_ACCESS_KEY, S3_SECRET_KEY (operator) and S3_NODE_ACCESS_KEY, S3_NODE_SECRET_KEY; made at the first call."""
    found = read_json(paths.secrets)
    if isinstance(found, dict):
        return {str(name): str(value) for name, value in found.items()}
    made = {
        "S3_ACCESS_KEY": "operator" + secrets.token_hex(6),
        "S3_SECRET_KEY": secrets.token_urlsafe(32),
        "S3_NODE_ACCESS_KEY": "node" + secrets.token_hex(6),
        "S3_NODE_SECRET_KEY": secrets.token_urlsafe(32),
    }
    write(paths.secrets, json.dumps(made), 0o600)
    return made


def new_node_key(paths: Paths) -> None:
    """Give the node user another key; the store knows it at once, and the old one no more (its cache is off)."""
    made = keys(paths) | {
        "S3_NODE_ACCESS_KEY": "node" + secrets.token_hex(6),
        "S3_NODE_SECRET_KEY": secrets.token_urlsafe(32),
    }
    write(paths.secrets, json.dumps(made), 0o600)
    users = paths.cloud / "objects-iam" / "users.json"
    if users.exists():
        write(users, users_file(made["S3_NODE_ACCESS_KEY"], made["S3_NODE_SECRET_KEY"]), 0o600)


def users_file(node_access: str, node_secret: str) -> str:
    """versitygw's file of users (its internal IAM) with the node user in it."""
    node = {"access": node_access, "secret": node_secret, "role": "user", "userID": 0, "groupID": 0, "projectID": 0}
    return json.dumps({"accessAccounts": {node_access: node}})


def binary() -> str:
    """Path of versitygw: from PATH, else made by the toolchain, it alone. BackendError when there is none."""
    found = shutil.which("versitygw")
    if found:
        return found
    if TOOLCHAIN.exists():
        done = subprocess.run([str(TOOLCHAIN), "versitygw"], stdout=subprocess.PIPE, text=True, check=False)
        file = Path(done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "/nonexistent") / "versitygw"
        if done.returncode == 0 and file.exists():
            return str(file)
    raise BackendError("versitygw (the object store) is not there: tools/toolchain should have built it")


def up(paths: Paths, program: str) -> None:
    """Start the object store in the router namespace unless it runs."""
    pid_file = paths.run / "objects.pid"
    if process.load(pid_file):
        return
    made = keys(paths)
    iam, data, versions = (paths.cloud / "objects-iam", paths.objects, paths.cloud / "objects-versions")
    for folder in (iam, data, versions):
        folder.mkdir(mode=0o700, exist_ok=True)
    write(iam / "users.json", users_file(made["S3_NODE_ACCESS_KEY"], made["S3_NODE_SECRET_KEY"]), 0o600)
    command = [
        *netns.inside(a.ROUTER_NS), program, "--port", f"{a.OBJECTS_IP}:{a.OBJECTS_PORT}", "--region", REGION,
        "--cert", str(paths.ca / "objects.pem"), "--key", str(paths.ca / "objects.key"),
        "--iam-dir", str(iam), "--iam-cache-disable", "--quiet", "posix", "--versioning-dir", str(versions), str(data),
    ]  # fmt: skip
    env = {"ROOT_ACCESS_KEY": made["S3_ACCESS_KEY"], "ROOT_SECRET_KEY": made["S3_SECRET_KEY"]}
    process.spawn(command, pid_file, paths.run / "objects.log", env)
